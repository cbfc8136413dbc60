"""Captioned videos, read back from the part files of the vision stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exvad.aegm.captioned_videos import read_captioned_videos
from exvad.store.feature_bank import load_features
from exvad.store.store import Store
from exvad.store.survey import Survey

PER_CHUNK, WIDTH = 5, 8


def row(video: str, chunk: int, crop: int = 0, salt: int = 0) -> dict[str, Any]:
    """Return a chunk with two captions; `salt` changes its content but not its key."""
    rng = np.random.default_rng([chunk, crop, salt, *video.encode()])
    first = chunk * PER_CHUNK
    return {
        "video_id": video,
        "chunk": chunk,
        "crop": crop,
        "first_snippet": first,
        "num_chunks": 2,
        "visual": rng.normal(size=(PER_CHUNK, WIDTH)),
        "times": np.arange(first, first + PER_CHUNK) * 0.5,
        "caption_snippets": [first + 1, first + 3] if crop == 0 else [],
        "captions": [f"{video} {chunk} {salt} {n}" for n in range(2)] if crop == 0 else [],
        "num_frames": 160,
        "fps": 30.0,
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with three videos: chunks out of order, two crops, and one chunk written twice."""
    store = Store(tmp_path)
    stage = store.stage("vision", {"source": "test"})
    stage.append([row("b", 1), row("a", 0), row("a", 0, crop=1)])
    stage.append([row("c", 0), row("c", 1)])
    stage.append([row("a", 1), row("a", 0, salt=1), row("b", 0)])
    return store


def test_read_captioned_videos_agrees_with_the_feature_bank(store: Store) -> None:
    videos = ["b", "a", "c"]
    captioned = read_captioned_videos(store, Survey(store, videos).pieces("vision", videos))
    assert [video.video_id for video in captioned] == videos
    for video, features in zip(captioned, load_features(store, videos).values(), strict=True):
        assert video.captions == features.captions
        assert video.caption_snippets == features.caption_snippets == [1, 3, 6, 8]
        np.testing.assert_array_equal(
            video.image_cD, features.visual[features.caption_snippets].astype(np.float32)
        )


def test_read_captioned_videos_reads_only_the_parts_of_its_videos(store: Store) -> None:
    videos = ["a", "c", "nowhere"]
    pieces = Survey(store, videos).pieces("vision", videos)
    assert [len(pieces[video]) for video in videos] == [2, 1, 0]
    for piece in pieces["a"]:
        (Path(store.root) / "vision" / piece.name).unlink()
    (video,) = read_captioned_videos(store, {"c": pieces["c"]})
    assert video.captions == ["c 0 0 0", "c 0 0 1", "c 1 0 0", "c 1 0 1"]
