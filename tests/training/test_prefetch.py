"""Items computed ahead by a thread: same order, bounded, and errors where they belong."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from exvad.training.prefetch import prefetched


def test_prefetched_yields_all_items_in_order() -> None:
    assert list(prefetched(iter(range(20)))) == list(range(20))
    assert list(prefetched([])) == []


def test_prefetched_computes_in_the_meantime_and_not_further_ahead() -> None:
    computed: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            computed.append(number)
            yield number

    iterator = prefetched(items(), ahead=2)
    assert next(iterator) == 0
    deadline = time.monotonic() + 20
    while len(computed) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert computed == [0, 1, 2]


def test_prefetched_raises_an_error_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second item")

    iterator = prefetched(items())
    assert next(iterator) == 1
    with pytest.raises(ValueError, match="the second item"):
        next(iterator)


def test_closing_prefetched_stops_its_thread() -> None:
    threads = threading.active_count()
    iterator = prefetched(iter(range(1000)))
    next(iterator)
    assert threading.active_count() == threads + 1
    iterator.close()
    assert threading.active_count() == threads
