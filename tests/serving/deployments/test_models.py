"""Requests that are computed together get the results of their own items."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from numpy.typing import NDArray

from exvad.encoders.answers import CaptionError
from exvad.serving.deployments.models import (
    ClipDeployment,
    compute_by_size,
    compute_each,
    compute_together,
)


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


@pytest.mark.parametrize("error", [CaptionError("no caption"), RuntimeError("out of memory")])
def test_compute_each_refuses_only_the_request_that_fails(error: Exception) -> None:
    def read_brightness(frames: NDArray[np.uint8]) -> list[int]:
        if (frames == 9).any():
            raise error
        return [int(frame.max()) for frame in frames]

    requests = [np.full((2, 4, 4, 3), value, np.uint8) for value in (1, 9, 3)]
    compute = partial(compute_by_size, read_brightness)
    assert compute_each(compute, requests) == [[1, 1], error, [3, 3]]


def test_compute_each_ends_with_a_device_that_is_broken() -> None:
    def fail(texts: list[str]) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        compute_each(partial(compute_together, fail), [["a"], ["b"]])


def test_a_request_that_fails_leaves_the_others_of_its_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Clip:
        def encode_texts(self, texts: list[str]) -> list[str]:
            if "bad" in texts:
                raise RuntimeError("index out of range")
            return [text.upper() for text in texts]

    monkeypatch.setattr("exvad.serving.deployments.models.load_clip", lambda _: Clip())
    context = MagicMock()
    context._deployment_config.max_ongoing_requests = 32
    monkeypatch.setattr("ray.serve.get_replica_context", lambda: context)
    deployment: Any = ClipDeployment

    async def send(*requests: list[str]) -> list[Any]:
        clip: Any = deployment.func_or_class(None)
        return await asyncio.gather(*map(clip.encode_texts, requests), return_exceptions=True)

    first, second, third = asyncio.run(send(["a"], ["b", "bad"], ["c"]))
    assert (first, third) == (["A"], ["C"])
    assert isinstance(second, RuntimeError)
