"""Queues whose entries workers hold by a lease."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
        self._failed_at = -math.inf  # by the monotonic clock

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Run a transaction; see `Database.write`."""
        try:
            with super().write(durable) as connection:
                yield connection
        except sqlite3.OperationalError:
            self._failed_at = time.monotonic()
            raise

    def expired_before(self) -> float:
        """Return the time, in seconds since 1970, before which a lease must end to have expired.

        While nothing can be written, as on a full disk, no lease can be renewed. Afterwards their
        holders get the time of a lease to do so.
        """
        had_time = time.monotonic() - self._failed_at >= self.lease_seconds
        return time.time() if had_time else 0.0
