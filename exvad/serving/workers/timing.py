"""Work that a worker repeats every few seconds."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Interval:
    """Limits how often something is done.

    Args:
        seconds: shortest time between two times.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last = -math.inf

    def is_due(self) -> bool:
        """Whether the interval has passed since the last call that returned true."""
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


@contextmanager
def repeat_in_background(
    action: Callable[[threading.Event], bool], seconds: float
) -> Iterator[None]:
    """Call a function every few seconds in a thread while the block runs.

    Args:
        action: the function; it gets an event that is set at the end of the block, and returns
            whether to go on.
        seconds: time between two calls.
    """
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds) and action(ended):
            pass

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
