"""Folders that one process at a time works on."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
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


def _lock(descriptor: int) -> bool:
    """Return whether nobody else has locked a file; True on a share without locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
