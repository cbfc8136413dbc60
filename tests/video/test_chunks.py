"""Chunks: decoded one by one, they give the frames and times of the whole video."""

from __future__ import annotations

import json
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.video.chunks import Chunk, plan_chunks
from exvad.video.decoding import decode_chunk
from exvad.video.survey import probe
from tests.helpers.videos import decode_video, write_video

FORMATS = [
    ("clip.mp4", {"codec": "libx264"}),
    ("clip.mkv", {"codec": "libx264"}),
    ("clip.ts", {"codec": "libx264"}),
    ("clip.h264", {"codec": "libx264"}),
    ("clip.avi", {"codec": "mpeg4"}),
    ("clip.mp4", {"codec": "mpeg4"}),
]


@settings(max_examples=25, deadline=None)
@given(
    name_and_codec=st.sampled_from(FORMATS),
    num_frames=st.integers(1, 70),
    gop=st.integers(1, 40),
    b_frames=st.integers(0, 3),
    stride=st.sampled_from([1, 5, 16]),
    snippets_per_chunk=st.integers(1, 6),
)
def test_chunks_give_the_frames_of_sequential_decoding(
    name_and_codec: tuple[str, dict[str, Any]],
    num_frames: int,
    gop: int,
    b_frames: int,
    stride: int,
    snippets_per_chunk: int,
) -> None:
    name, codec = name_and_codec
    if name == "clip.ts":  # FFmpeg does not recognize files of very few packets
        num_frames += 10
    with tempfile.TemporaryDirectory() as folder:
        path = write_video(Path(folder, name), num_frames, gop=gop, b_frames=b_frames, **codec)
        indices, times, problems, chunks = decode_video(path, stride, snippets_per_chunk)
        info = probe(path)
    assert info.num_frames == num_frames
    assert indices == list(range(0, num_frames, stride))
    assert times == pytest.approx([index / 25 for index in indices], abs=2e-3)
    assert problems == []
    assert [chunk.chunk for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk.num_snippets == snippets_per_chunk for chunk in chunks[:-1])
    assert [chunk.first_frame for chunk in chunks] == [
        chunk.first_snippet * stride for chunk in chunks
    ]


def test_chunks_give_the_same_pixels_as_one_chunk(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 60, gop=25, b_frames=2)
    _, [whole] = plan_chunks("clip", path, 7)
    _, chunks = plan_chunks("clip", path, 7, 2)
    frames = np.concatenate([decode_chunk(chunk).frames for chunk in chunks])
    assert np.array_equal(frames, decode_chunk(whole).frames)
    red_green_blue = frames[1][:8, :8].mean(axis=(0, 1))  # the lowest bit of frame 7
    assert red_green_blue == pytest.approx([255, 170, 60], abs=25)


@settings(max_examples=12, deadline=None)
@given(
    gaps=st.lists(st.integers(1, 900), min_size=1, max_size=40),
    suffix=st.sampled_from([".mp4", ".mkv"]),
    b_frames=st.integers(0, 2),
)
def test_times_follow_a_variable_frame_rate(gaps: list[int], suffix: str, b_frames: int) -> None:
    milliseconds = np.cumsum([0, *gaps]).tolist()
    with tempfile.TemporaryDirectory() as folder:
        path = write_video(
            Path(folder, f"clip{suffix}"),
            len(milliseconds),
            milliseconds=milliseconds,
            b_frames=b_frames,
        )
        indices, times, problems, _ = decode_video(path, 4, 3)
        info = probe(path)
    assert indices == list(range(0, len(milliseconds), 4))
    assert times == pytest.approx([milliseconds[index] / 1000 for index in indices], abs=1e-3)
    assert problems == []
    assert info.fps * milliseconds[-1] / 1000 == pytest.approx(len(gaps), abs=0.51)
    # The last frame lasts as long as others usually do.
    usual = float(np.median(gaps)) / 1000
    last = 1 / info.fps if abs(usual * info.fps - 1) < 0.2 else usual
    assert info.duration == pytest.approx(milliseconds[-1] / 1000 + last, abs=1e-3)


def test_a_chunk_is_restored_from_its_row(tmp_path: Path) -> None:
    for name in ("clip.mp4", "clip.h264"):
        _, chunks = plan_chunks("clip", write_video(tmp_path / name, 40), 16, 2)
        for chunk in chunks:
            row = chunk.to_row()
            assert Chunk.from_row(row) == chunk
            assert Chunk.from_row(json.loads(json.dumps(row))) == chunk
            assert pickle.loads(pickle.dumps(chunk)) == chunk
            lists = {name: np.array(row[name]) for name in row if isinstance(row[name], tuple)}
            rebuilt = Chunk.from_row({**row, **lists})  # as Arrow returns them
            assert rebuilt == chunk
            assert np.array_equal(decode_chunk(rebuilt).frames, decode_chunk(chunk).frames)
