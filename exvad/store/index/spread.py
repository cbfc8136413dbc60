"""How work on many files is spread: over threads here, or by the caller over a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol


class Spread(Protocol):
    """Something that calls a function for each of many arguments, several at the same time."""

    def __call__(self, function: Callable[[Any], Any], arguments: Sequence[Any]) -> Iterator[Any]:
        """Yield what the function returns, in the order of the arguments; raise what it raises."""
        ...


def over_threads(count: int) -> Spread:
    """Return a `Spread` over threads of this process.

    Args:
        count: the number of threads.
    """
    return partial(_call_in_threads, count)


def _call_in_threads(
    count: int, function: Callable[[Any], Any], arguments: Sequence[Any]
) -> Iterator[Any]:
    with ThreadPoolExecutor(count) as pool:
        yield from pool.map(function, arguments)


IN_THREADS = over_threads(4)
