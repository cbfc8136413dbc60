"""Batches of frozen models: bounded size, halves where memory is too small, and work ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from exvad.encoders.batching import halve_on_oom, prepare_ahead, split_by_tokens


def test_halve_on_oom_computes_a_batch_at_once_if_it_fits() -> None:
    batches: list[int] = []

    def compute(items: Sequence[int]) -> list[int]:
        batches.append(len(items))
        return [-item for item in items]

    assert halve_on_oom(compute, range(10)) == [-item for item in range(10)]
    assert batches == [10]


def test_halve_on_oom_goes_on_with_halves_and_keeps_the_order() -> None:
    def compute(items: Sequence[int]) -> list[int]:
        if len(items) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [-item for item in items]

    assert halve_on_oom(compute, range(11)) == [-item for item in range(11)]
    frames = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
    results = halve_on_oom(compute, frames)  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.stack(results), -frames)


def test_halve_on_oom_gives_up_if_one_item_is_too_large() -> None:
    def compute(items: Sequence[int]) -> list[int]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        halve_on_oom(compute, range(4))


def test_split_by_tokens_bounds_prompts_and_padded_tokens() -> None:
    def split(lengths: list[int], max_items: int, max_tokens: int | None) -> list[list[int]]:
        return [lengths[batch] for batch in split_by_tokens(lengths, max_items, max_tokens)]

    assert split([1, 2, 3, 4, 5], 2, None) == [[1, 2], [3, 4], [5]]
    assert split([1, 2, 3, 4, 5], 9, 9) == [[1, 2, 3], [4], [5]]
    assert split([50, 60], 9, 10) == [[50], [60]]
    assert split([], 9, 10) == []


@pytest.mark.parametrize("in_thread", [False, True])
def test_prepare_ahead_gives_the_items_in_order(in_thread: bool) -> None:
    assert list(prepare_ahead(str, range(5), in_thread)) == ["0", "1", "2", "3", "4"]
    assert list(prepare_ahead(str, [], in_thread)) == []
    assert list(prepare_ahead(lambda item: item, [None, 0], in_thread)) == [None, 0]


def test_prepare_ahead_prepares_one_item_while_the_caller_works() -> None:
    started = [threading.Event() for _ in range(4)]
    read: list[int] = []

    def items() -> Iterator[int]:
        for item in range(4):
            read.append(item)
            yield item

    def prepare(item: int) -> int:
        started[item].set()
        return item

    for item in prepare_ahead(prepare, items(), in_thread=True):
        if item < 3:
            assert started[item + 1].wait(30), "the next item is prepared"
        assert not any(event.is_set() for event in started[item + 2 :]), "and no further one"
        assert read == list(range(min(item + 2, 4)))


@pytest.mark.parametrize("in_thread", [False, True])
def test_prepare_ahead_raises_at_the_item_that_fails(in_thread: bool) -> None:
    def prepare(item: int) -> float:
        return 1 / (2 - item)

    prepared = prepare_ahead(prepare, range(4), in_thread)
    assert [next(prepared), next(prepared)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(prepared)
    assert list(prepared) == []


def test_prepare_ahead_ends_its_thread_with_the_iterator() -> None:
    before = threading.active_count()
    prepared = prepare_ahead(str, range(100), in_thread=True)
    assert next(prepared) == "0"
    assert threading.active_count() == before + 1
    prepared.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
