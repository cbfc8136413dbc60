"""Features of failed chunks are those of the nearest frame."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from exvad.detector.chunk_features import ChunkFeatures
from exvad.video.container import VideoError


class SizeCaptioner:
    """Captions a frame with its height, and records how many frames each call has."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        self.calls.append(len(frames))
        return [str(frame.shape[0]) for frame in frames]


def task(num_snippets: int) -> Any:
    return SimpleNamespace(chunk=SimpleNamespace(num_snippets=num_snippets))


def features(*values: float) -> NDArray[np.float16]:
    return np.array(values, np.float16)[:, None]


def test_visual_repeats_the_nearest_frame_for_failed_chunks() -> None:
    chunks = ChunkFeatures()
    chunks.add_failed(task(2), VideoError("x.mp4", "is broken"))
    chunks.add(SimpleNamespace(problems=["late"]), features(1, 2, 3))  # type: ignore[arg-type]
    chunks.add_failed(task(1), VideoError("x.mp4", "is cut"))
    assert chunks.visual()[:, 0].tolist() == [1, 1, 1, 2, 3, 3]
    assert chunks.problems == [
        "is broken; the nearest frames stand in",
        "late",
        "is cut; the nearest frames stand in",
    ]


def test_visual_raises_the_first_error_if_every_chunk_failed() -> None:
    chunks = ChunkFeatures()
    for reason in ("is broken", "is cut"):
        chunks.add_failed(task(1), VideoError("x.mp4", reason))
    with pytest.raises(VideoError, match="is broken"):
        chunks.visual()


def test_caption_calls_the_captioner_once_per_run_of_equal_sizes() -> None:
    chunks, captioner = ChunkFeatures(), SizeCaptioner()
    for heights in ([4, 4], [4, 6]):
        frames = [np.zeros((height, 8, 3), np.uint8) for height in heights]
        captioned: Any = SimpleNamespace(
            captioned=[0, 1], captioned_clips=lambda *_, frames=frames: [f[None] for f in frames]
        )
        chunks.add_captioned_clips(captioned, SimpleNamespace(), 1)  # type: ignore[arg-type]
    assert chunks.caption(captioner) == ["4", "4", "4", "6"]
    assert captioner.calls == [3, 1]
