"""Queues whose entries workers hold by a lease."""

from __future__ import annotations

from pathlib import Path

from exvad.serving.queue.database import Database


class QueueFullError(Exception):
    """The queue has as many entries as it may have."""


class LeasedQueue(Database):
    """A queue whose entries are held by a lease; an expired lease frees the entry.

    Args:
        path: the SQLite file; it is created if it does not exist.
        lease_seconds: how long a lease lasts after it was last renewed.

    Raises:
        OtherVersionError: another version of exvad wrote the file.
        ValueError: the file is not a database of exvad.
    """

    def __init__(self, path: Path, lease_seconds: float = 30) -> None:
        super().__init__(path)
        self.lease_seconds = lease_seconds
