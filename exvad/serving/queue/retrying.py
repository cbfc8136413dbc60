"""Writing to the queue while the disk is full: again and again until there is room."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import TypeVar

FULL_SECONDS = 1.0
T = TypeVar("T")


def retry_while_disk_full(write: Callable[[], T], stopped: threading.Event) -> T:
    """Return what a write returns, once it succeeds.

    Args:
        write: writes to the queue's file.
        stopped: set it to give up; the last error is raised then.
    """
    while True:
        try:
            return write()
        except sqlite3.OperationalError:
            if stopped.wait(FULL_SECONDS):
                raise
