"""Work is repeated after an interval, and in the background until its block ends."""

from __future__ import annotations

import threading
import time

from exvad.serving.workers.timing import Interval, repeat_in_background


def test_interval_is_due_at_first_and_after_its_time() -> None:
    interval = Interval(0.05)
    assert interval.is_due()
    assert not interval.is_due()
    time.sleep(0.06)
    assert interval.is_due()


def test_repeat_in_background_calls_until_the_block_ends() -> None:
    calls: list[threading.Event] = []

    def action(ended: threading.Event) -> bool:
        calls.append(ended)
        return True

    with repeat_in_background(action, 0.01):
        time.sleep(0.2)
    count = len(calls)
    assert count >= 2
    assert calls[0].is_set()
    time.sleep(0.05)
    assert len(calls) == count


def test_repeat_in_background_stops_if_the_action_says_so() -> None:
    calls = []

    def action(_: threading.Event) -> bool:
        calls.append(1)
        return False

    with repeat_in_background(action, 0.01):
        time.sleep(0.1)
    assert len(calls) == 1
