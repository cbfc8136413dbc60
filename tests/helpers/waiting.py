"""Waiting for a condition in tests."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.05


def holds_within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Return whether a condition becomes true within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(POLL_SECONDS)
    return condition()
