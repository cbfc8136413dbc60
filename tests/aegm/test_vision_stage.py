"""The vision stage: a video to chunks, captioned snippets, and rows of the feature store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from exvad.aegm.chunk_task import ChunkTask
from exvad.aegm.vision_stage import (
    UncaptionedError,
    VisionStage,
    choose_captioned_snippets,
    plan_video,
    vision_fingerprint,
)
from exvad.config import load_config
from exvad.data.world import Scene, render_video
from exvad.encoders.answers import CaptionError
from exvad.store.store import Store
from exvad.video.chunks import Chunk
from exvad.video.container import VideoError
from exvad.video.decoding import DecodedChunk, decode_chunk
from tests.helpers.fakes import FakeCaptioner, FakeEncoder

SCENE = Scene(3, "Arson", 11, 13)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A short video of the demo world."""
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    render_video(SCENE, path)
    return str(path)


def encode(stage: VisionStage, task: ChunkTask, decoded: DecodedChunk) -> list[dict[str, Any]]:
    """Return the rows of one chunk."""
    (rows,) = stage.encode_chunks([(task, decoded)])
    assert not isinstance(rows, CaptionError)
    return rows


def chunk_of(
    video_id: str, value: int, captioned: tuple[int, ...], size: tuple[int, int] = (4, 6)
) -> tuple[ChunkTask, DecodedChunk]:
    """Return a chunk of 5 frames, of brightness `value` and brighter from frame to frame."""
    chunk = Chunk(video_id, f"{video_id}.mp4", 0, 0, 0, 16, (0.0,) * 5, ())
    values = np.arange(value, value + 5, dtype=np.uint8)[:, None, None, None]
    decoded = DecodedChunk(np.tile(values, (1, *size, 3)), np.zeros(5), [])
    return ChunkTask(chunk, 1, 80, 30.0, captioned), decoded


def test_plan_video_covers_the_video_and_distributes_its_captioned_snippets(video: str) -> None:
    config = load_config("demo", ["data.snippets_per_chunk=4", "captioner.per_video=5"])
    info, tasks = plan_video("v", video, config)
    total = -(-SCENE.num_frames // 16)
    assert info.num_frames == SCENE.num_frames
    assert [task.chunk.first_snippet for task in tasks] == list(range(0, total, 4))
    assert sum(task.chunk.num_snippets for task in tasks) == total
    captioned = [snippet for task in tasks for snippet in task.captioned]
    assert len(captioned) == 5
    assert captioned == sorted(set(captioned))
    assert all(ChunkTask.from_row(task.to_row()) == task for task in tasks)


def test_encode_chunks_gives_rows_that_do_not_depend_on_the_chunk_size(
    video: str, tmp_path: Path
) -> None:
    contents = []
    for size in (256, 4):
        config = load_config("demo", [f"data.snippets_per_chunk={size}", "captioner.per_video=5"])
        captioner = FakeCaptioner()
        stage = VisionStage(FakeEncoder(), captioner)
        _, tasks = plan_video("v", video, config)
        rows = []
        for task in tasks:
            decoded = decode_chunk(task.chunk, config.data.short_side)
            assert decoded.problems == []
            rows += encode(stage, task, decoded)
        store = Store(tmp_path / f"{size}").stage("vision", vision_fingerprint(config))
        store.append(rows)
        assert len(store.keys()) == len(tasks)
        assert captioner.num_frames == 5
        contents.append(
            (
                np.concatenate([row["visual"] for row in rows]),
                np.concatenate([row["times"] for row in rows]),
                [snippet for row in rows for snippet in row["caption_snippets"]],
                [caption for row in rows for caption in row["captions"]],
            )
        )
    for of_one_chunk, of_many_chunks in zip(*contents, strict=True):
        np.testing.assert_array_equal(of_one_chunk, of_many_chunks)


def test_plan_video_rejects_a_file_that_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"v\.mp4"):
        plan_video("v", str(path), load_config("demo"))


class CountingCaptioner(FakeCaptioner):
    """A captioner that refuses dark frames and keeps the number of frames of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        self.calls.append(len(frames))
        if frames.min() < 10:
            raise CaptionError("refused: too dark")
        return super().caption(frames)


def test_encode_chunks_captions_the_frames_of_all_chunks_together() -> None:
    chunks = [
        chunk_of("a", 20, (0, 4)),
        chunk_of("b", 40, (1,), (8, 6)),
        chunk_of("c", 60, ()),
        chunk_of("d", 80, (2, 3)),
    ]
    captioner = CountingCaptioner()
    together = VisionStage(FakeEncoder(), captioner).encode_chunks(chunks, crops=5)
    assert captioner.calls == [4, 1], "one call for each size of frames"
    assert [rows[0]["captions"] for rows in together if not isinstance(rows, CaptionError)] == [
        ["a picture of brightness 20", "a picture of brightness 24"],
        ["a picture of brightness 41"],
        [],
        ["a picture of brightness 82", "a picture of brightness 83"],
    ]
    stage = VisionStage(FakeEncoder(), FakeCaptioner())
    alone = [rows for chunk in chunks for rows in stage.encode_chunks([chunk], crops=5)]
    np.testing.assert_equal(together, alone)


def test_encode_chunks_keeps_a_refusal_to_its_chunk() -> None:
    chunks = [chunk_of("a", 20, (0,)), chunk_of("b", 1, (0,)), chunk_of("c", 30, (1,))]
    first, second, third = VisionStage(FakeEncoder(), CountingCaptioner()).encode_chunks(chunks)
    assert isinstance(second, CaptionError)
    assert not isinstance(first, CaptionError)
    assert not isinstance(third, CaptionError)
    assert first[0]["captions"] == ["a picture of brightness 20"]
    assert third[0]["captions"] == ["a picture of brightness 31"]


def test_encode_chunks_without_captioner_takes_the_captions_of_the_task() -> None:
    (task, decoded), other = chunk_of("a", 20, (0, 4)), chunk_of("b", 40, (1,))
    captioned = task.with_captions({"0": "a fire", "4": "smoke"})
    stage = VisionStage(FakeEncoder(), None)
    rows, error = stage.encode_chunks([(captioned, decoded), other], crops=5)
    assert isinstance(error, UncaptionedError)
    assert "b: some of its frames were not captioned" in str(error)
    assert not isinstance(rows, CaptionError)
    assert [row["captions"] for row in rows] == [["a fire", "smoke"], [], [], [], []]


class ClipLengthCaptioner(FakeCaptioner):
    """A captioner that names the first value of each frame of a clip."""

    def caption_clips(self, clips: Sequence[NDArray[np.uint8]]) -> list[str]:
        return [" ".join(str(frame[0, 0, 0]) for frame in clip_fHWC) for clip_fHWC in clips]


@pytest.mark.parametrize(
    ("frames", "captions"),
    [
        (2, ["0 1", "2 3", "3 4"]),
        (3, ["0 1 2", "1 2 3", "2 3 4"]),
        (9, ["0 1 2 3 4"] * 3),
    ],
)
def test_encode_chunks_captions_clips_around_the_captioned_snippets(
    frames: int, captions: list[str]
) -> None:
    chunk = Chunk("v", "v.mp4", 1, 10, 160, 16, (0.0,) * 5, ())
    task = ChunkTask(chunk, 2, 300, 30.0, (10, 12, 14))
    values = np.arange(5, dtype=np.uint8)[:, None, None, None]
    decoded = DecodedChunk(np.tile(values, (1, 4, 6, 3)), np.zeros(5), [])
    stage = VisionStage(FakeEncoder(), ClipLengthCaptioner(), frames)
    (row,) = encode(stage, task, decoded)
    assert row["captions"] == captions
    (single,) = encode(VisionStage(FakeEncoder(), FakeCaptioner()), task, decoded)
    assert single["captions"] == [f"a picture of brightness {value}" for value in (0, 2, 4)]


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(1, 64))
def test_choose_captioned_snippets_gives_unique_ascending_indices(total: int, n: int) -> None:
    chosen = choose_captioned_snippets(total, n)
    assert len(chosen) == min(total, n)
    assert chosen == sorted(set(chosen))
    assert chosen[0] >= 0
    assert chosen[-1] < total


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(1, 64))
def test_choose_captioned_snippets_gives_equal_distances(total: int, n: int) -> None:
    chosen = choose_captioned_snippets(total, n)
    gaps = np.diff(chosen)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1
    # The margins before the first and after the last snippet are equal, too.
    assert abs(chosen[0] - (total - 1 - chosen[-1])) <= 1


@pytest.mark.parametrize(
    "override",
    [
        "data.stride=8",
        "data.snippets_per_chunk=4",
        "data.short_side=64",
        "clip.model=other",
        "clip.pretrained=other",
        "clip.dtype=float16",
        "captioner.model=other",
        "captioner.backend=vllm",
        "captioner.dtype=bfloat16",
        "captioner.prompt=what is this?",
        "captioner.frames=2",
        "captioner.per_video=3",
        "captioner.max_new_tokens=3",
    ],
)
def test_vision_fingerprint_changes_with_the_settings_of_the_rows_only(override: str) -> None:
    plain = vision_fingerprint(load_config("demo"))
    assert vision_fingerprint(load_config("demo", [override])) != plain
    assert vision_fingerprint(load_config("demo", ["clip.batch_size=3", "run=other"])) == plain


def test_plan_video_lets_every_other_caption_move_if_it_is_guided(video: str) -> None:
    settings = ["captioner.per_video=5", "data.snippets_per_chunk=4"]
    _, even = plan_video("v", video, load_config("demo", settings))
    _, guided = plan_video(
        "v", video, load_config("demo", [*settings, "captioner.placement=guided"])
    )
    captioned = [snippet for task in guided for snippet in task.captioned]
    assert captioned == [snippet for task in even for snippet in task.captioned]
    assert [snippet for task in guided for snippet in task.movable] == captioned[1::2]
    assert not any(task.movable for task in even)
    _, all_captioned = plan_video("v", video, load_config("demo", ["captioner.placement=guided",
                                  "captioner.per_video=999"]))  # fmt: skip
    assert not any(task.movable for task in all_captioned)


@pytest.mark.parametrize("crops", [1, 5])
def test_encode_chunks_captions_the_most_unusual_snippet_in_place_of_a_movable_one(
    crops: int,
) -> None:
    task, decoded = chunk_of("v", 40, (1, 3))
    decoded.frames[:] = 40
    decoded.frames[4] = 90
    encoder = FakeEncoder()
    stage = VisionStage(encoder, FakeCaptioner())
    (guided,) = stage.encode_chunks([(replace(task, movable=(3,)), decoded)], crops)
    (even,) = stage.encode_chunks([(task, decoded)], crops)
    assert not isinstance(guided, CaptionError)
    assert not isinstance(even, CaptionError)
    assert guided[0]["caption_snippets"] == [1, 4]
    assert guided[0]["captions"] == ["a picture of brightness 40", "a picture of brightness 90"]
    assert even[0]["caption_snippets"] == [1, 3]
    for row, expected in zip(guided, even, strict=True):
        np.testing.assert_array_equal(row["visual"], expected["visual"])
    assert all(row["captions"] == [] for row in guided[1:])


def test_vision_fingerprint_names_the_placement_only_if_it_is_guided() -> None:
    even, guided = (
        vision_fingerprint(load_config("demo", [f"captioner.placement={placement}"]))
        for placement in ("even", "guided")
    )
    assert "placement" not in even, "stores of earlier versions stay valid"
    assert guided == even | {"placement": "guided"}
