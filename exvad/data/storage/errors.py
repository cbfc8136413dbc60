"""The error of storage that fails for now, and why a file can't be used."""

from __future__ import annotations

import errno
import os

from exvad.config.addresses import shown_address

# What a network file system reports when its server does not answer.
_NETWORK_ERRNOS = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN"),
        *("ENETRESET", "ENETUNREACH", "ENOTCONN", "EREMOTEIO", "ESTALE", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
)
_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


class StorageError(ValueError):
    """Storage does not answer or refuses; the content of the file is not to blame.

    What it interrupts is not done and not failed: the same command continues with it.

    Args:
        place: the file or folder; the message omits user names, passwords and queries of a URI.
        reason: the cause, as the part of the sentence after `place: `.
        changed: whether the file was replaced or deleted while it was read.
    """

    def __init__(self, place: str, reason: str, changed: bool = False) -> None:
        self.place, self.reason, self.changed = shown_address(place), reason, changed
        super().__init__(f"{self.place}: {reason}")

    def __reduce__(self) -> tuple[type[StorageError], tuple[str, str, bool]]:
        return type(self), (self.place, self.reason, self.changed)


def reason_of(error: Exception) -> str:
    """Return why something failed, without the name of a file."""
    # Errors of FFmpeg have the attribute too, and are no OSError.
    strerror: str | None = getattr(error, "strerror", None)
    if strerror is None and isinstance(error, FileNotFoundError):
        return os.strerror(errno.ENOENT)  # other file systems say nothing but the name
    return strerror or str(error)


def is_network_failure(error: OSError) -> bool:
    """Return whether the server of a network file system failed, not the file."""
    return error.errno in _NETWORK_ERRNOS


def is_full(error: OSError) -> bool:
    """Return whether a disk or a quota is full, so that no other write can succeed either."""
    return error.errno in _FULL_ERRNOS
