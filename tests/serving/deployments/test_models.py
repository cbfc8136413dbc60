"""Requests that are computed together get the results of their own items."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exvad.encoders.answers import CaptionError
from exvad.serving.deployments.models import caption_each, compute_by_size, compute_together


def test_compute_together_splits_the_results_of_one_call() -> None:
    calls: list[list[str]] = []

    def upper(texts: list[str]) -> list[str]:
        calls.append(texts)
        return [text.upper() for text in texts]

    assert compute_together(upper, [["a", "b"], [], ["c"]]) == [["A", "B"], [], ["C"]]
    assert calls == [["a", "b", "c"]]


def test_compute_by_size_calls_once_for_each_size() -> None:
    sizes: list[tuple[int, ...]] = []

    def first_pixels(frames: Any) -> Any:
        sizes.append(frames.shape)
        return frames[:, 0, 0, 0]

    requests = [
        np.full((number, side, side, 3), number, np.uint8)
        for number, side in ((2, 4), (1, 8), (3, 4))
    ]
    results = compute_by_size(first_pixels, requests)
    assert [result.tolist() for result in results] == [[2, 2], [1], [3, 3, 3]]
    assert sizes == [(5, 4, 4, 3), (1, 8, 8, 3)]


def test_caption_each_refuses_only_the_request_without_a_caption() -> None:
    class Captioner:
        def caption(self, frames: NDArray[np.uint8]) -> list[str]:
            if (frames == 9).any():
                raise CaptionError("no caption")
            return [f"brightness {frame.max()}" for frame in frames]

    requests = [np.full((2, 1, 4, 4, 3), value, np.uint8) for value in (1, 9, 3)]
    first, second, third = caption_each(Captioner(), requests)
    assert first == ["brightness 1"] * 2
    assert isinstance(second, CaptionError)
    assert third == ["brightness 3"] * 2
