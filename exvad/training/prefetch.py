"""Prepare the next batches in a thread while the network trains on the current one."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")

AHEAD = 2  # hides a slow read behind two steps; each batch ahead takes memory
_END = object()


def prefetched(items: Iterable[T], ahead: int = AHEAD) -> Generator[T]:
    """Yield items in their order, computed by a thread.

    An error that occurs while an item is computed is raised where that item would be yielded.
    Close the generator to stop the thread before the end.

    Args:
        items: computed by the thread, one after the other.
        ahead: how many items are computed before they are needed.
    """
    iterator = iter(items)
    pool = ThreadPoolExecutor(1, "prefetch")
    try:
        pending: deque[Future[object]] = deque(
            pool.submit(next, iterator, _END) for _ in range(ahead)
        )
        while (item := pending.popleft().result()) is not _END:
            pending.append(pool.submit(next, iterator, _END))
            yield cast(T, item)
    finally:
        pool.shutdown(cancel_futures=True)
