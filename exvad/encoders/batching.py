"""Batches of frozen models: they fit into the memory of a GPU, and it need not wait for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Result = TypeVar("Result")


def halve_on_oom(
    compute: Callable[[Sequence[Item]], Sequence[Result]], items: Sequence[Item]
) -> list[Result]:
    """Compute a batch; if the memory of the GPU is too small for it, compute its halves instead.

    Args:
        compute: returns one result per item of a batch, in order.
        items: the batch; any sequence that slices, such as an array [N, …].

    Returns:
        One result per item, in order.

    Raises:
        torch.OutOfMemoryError: the memory is too small for a single item.
    """
    import torch

    pending: list[Sequence[Item]] = [items]
    results: list[Result] = []
    while pending:
        batch = pending.pop()
        failed = False
        try:
            results += compute(batch)
        except torch.OutOfMemoryError:
            if len(batch) < 2:
                raise
            failed = True
        # Outside the handler: the exception holds the tensors of the failed batch.
        if failed:
            torch.cuda.empty_cache()
            half = len(batch) // 2
            pending += [batch[half:], batch[:half]]
    return results


def split_by_tokens(
    lengths: Sequence[int], max_items: int, max_tokens: int | None
) -> Iterator[slice]:
    """Cut a sequence of prompts into batches of bounded size.

    Args:
        lengths: tokens of each prompt with its answer. A batch is padded to its longest prompt.
        max_items: maximum prompts per batch.
        max_tokens: maximum tokens per batch with its padding, unless one prompt exceeds it; None
            for no limit.

    Yields:
        The positions of each batch.
    """
    start, longest = 0, 0
    for end, length in enumerate(lengths):
        longest = max(longest, length)
        size = end - start + 1
        is_full = size > max_items or (max_tokens is not None and size * longest > max_tokens)
        if is_full and size > 1:
            yield slice(start, end)
            start, longest = end, length
    if start < len(lengths):
        yield slice(start, len(lengths))


def prepare_ahead(
    prepare: Callable[[Item], Prepared], items: Iterable[Item], in_thread: bool
) -> Iterator[Prepared]:
    """Prepare items in order, each while the caller works with the one before it.

    There are at most two prepared items: the one that the caller has, and the next one.

    Args:
        prepare: work of the host that lets go of Python's lock, such as resizing.
        items: what to prepare; read in the same thread.
        in_thread: whether to work ahead, in a thread that ends with the iterator. Without it an
            item is prepared when the caller asks for it, which is as fast on a CPU, where the
            model needs the cores itself.

    Raises:
        Exception: what `prepare` or `items` raised, when the caller asks for that item.
    """
    if not in_thread:
        yield from map(prepare, items)
        return
    remaining = iter(items)

    def prepare_next() -> list[Prepared]:
        return [prepare(item) for item in islice(remaining, 1)]

    with ThreadPoolExecutor(1, "prepare") as pool:
        following = pool.submit(prepare_next)
        while prepared := following.result():
            following = pool.submit(prepare_next)
            # Removed from the list, so that the caller alone decides how long it is in memory.
            yield prepared.pop()
