"""Folders and files that one process at a time works on."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exvad.data.storage.places import Place


@contextmanager
def claimed(folder: Place, command: str) -> Iterator[None]:
    """Keep other processes of this machine from the same work on a folder.

    The system ends the claim with the process, however it ends. A folder in a bucket, or on a
    network share without locks, is not claimed.

    Args:
        folder: the folder, which exists.
        command: the command that claims it, for the message.

    Raises:
        ValueError: another process has claimed the folder.
    """
    if not folder.is_local:
        yield
        return
    descriptor = os.open(folder.path, os.O_RDONLY)
    try:
        if not _lock(descriptor):
            raise ValueError(f"{folder}: another {command} works on it; wait for it, or stop it")
        yield
    finally:
        os.close(descriptor)


@contextmanager
def claimed_file(path: Path, command: str) -> Iterator[None]:
    """Keep other processes of this machine from making the same file.

    A hidden file beside it holds the claim, because a file that is replaced can't. It is deleted
    afterwards.

    Args:
        path: the file; missing parent folders are created.
        command: the command that claims it, for the message.

    Raises:
        ValueError: another process has claimed the file.
        OSError: the folder can't be written to.
    """
    claim = path.with_name(f".{path.name}.claim")
    claim.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(claim, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        # A claim that another process deletes just now is refused, too.
        if not _lock(descriptor) or not _is_at(descriptor, claim):
            raise ValueError(f"{path}: another {command} makes it; wait for it, or stop it")
        try:
            yield
        finally:
            claim.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file is still the one of this name."""
    return path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())


def _lock(descriptor: int) -> bool:
    """Return whether nobody else has locked a file; True on a share without locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
