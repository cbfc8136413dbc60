"""Batches of frozen models: bounded size, and halves where the memory is too small."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from exvad.encoders.batching import halve_on_oom, split_by_tokens


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
