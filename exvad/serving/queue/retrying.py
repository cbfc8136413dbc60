"""Writes to the queue that wait until a full disk has space again."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import TypeVar

RETRY_SECONDS = 1.0
T = TypeVar("T")


def retry_while_disk_full(write: Callable[[], T], stopped: threading.Event) -> T:
    """Repeat a write until it succeeds, and return its result.

    Args:
        write: writes to the queue's file.
        stopped: set it to give up.

    Raises:
        sqlite3.OperationalError: `stopped` was set before the write succeeded.
    """
    while True:
        try:
            return write()
        except sqlite3.OperationalError:
            if stopped.wait(RETRY_SECONDS):
                raise
