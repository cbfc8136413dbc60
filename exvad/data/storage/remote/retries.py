"""Retries of requests to storage, with exponential backoff and jitter."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

TRIES = 5
FIRST_DELAY = 0.25  # seconds
_T = TypeVar("_T")


class TransientError(Exception):
    """A request failed in a way that another try may mend.

    Args:
        reason: the cause, as a part of a sentence.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def call_with_retries(call: Callable[[], _T]) -> _T:
    """Call a function until it succeeds, at most five times.

    The delays double from one try to the next. Each is shortened by a random share of up to a
    half, so that workers that were throttled together do not come back together.

    Args:
        call: raises `TransientError` where another try may help; anything else ends the tries.

    Raises:
        TransientError: the last try failed too.
    """
    for tried in range(1, TRIES):
        try:
            return call()
        except TransientError:
            time.sleep(FIRST_DELAY * 2 ** (tried - 1) * random.uniform(0.5, 1.0))
    return call()
