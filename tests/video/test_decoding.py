"""Decoding: codecs, pixel formats, rotation, size, and frames at given times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from exvad.video.chunks import plan_chunks
from exvad.video.decoding import decode_chunk, read_frames
from exvad.video.sandbox import DecodingProcess
from exvad.video.survey import probe
from tests.helpers.videos import (
    FAST_VPX,
    decode_video,
    draw_index,
    read_index,
    read_indices,
    write_video,
)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.avi", {"codec": "mpeg4", "b_frames": 2}),
        ("clip.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
        ("clip.mkv", {"codec": "ffv1"}),
        ("clip.webm", {"codec": "libvpx", "options": FAST_VPX}),
        ("clip.webm", {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "lag-in-frames": "8"}}),
        ("clip.mp4", {"pix_fmt": "gray"}),
        ("clip.mp4", {"pix_fmt": "yuv420p10le"}),
        ("clip.mp4", {"pix_fmt": "yuv444p", "size": (37, 29)}),
        ("clip.mkv", {"codec": "ffv1", "size": (37, 29)}),
        ("clip.mkv", {"codec": "ffv1", "pix_fmt": "gray10le"}),
    ],
)
def test_decode_chunk_reads_codecs_and_pixel_formats(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    size = {"size": (32, 24), **options}["size"]
    path = write_video(tmp_path / name, 35, **options)
    info = probe(path)
    assert (info.num_frames, info.width, info.height) == (35, *size)
    indices, times, problems, chunks = decode_video(path, 8, 2)
    assert indices == [0, 8, 16, 24, 32]
    assert times == pytest.approx([index / 25 for index in indices], abs=2e-3)
    assert problems == []
    assert decode_chunk(chunks[0]).frames.shape[1:] == (size[1], size[0], 3)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_decode_chunk_turns_frames_upright(tmp_path: Path, turns: int) -> None:
    path = write_video(tmp_path / "clip.mp4", 33, size=(48, 32), turns=turns)
    info = probe(path)
    assert (info.width, info.height) == (48, 32)
    _, [chunk] = plan_chunks("clip", path)
    frames = decode_chunk(chunk).frames
    assert frames.shape == (3, 32, 48, 3)
    assert read_indices(frames) == [0, 16, 32]
    assert decode_chunk(chunk, 16).frames.shape == (3, 16, 24, 3)


@pytest.mark.parametrize(
    ("small", "large", "expected", "others"),
    [(20, 20, (24, 32), 2), (16, 24, (48, 64), 2), (1, 39, (48, 64), 1), (39, 1, (24, 32), 0)],
)
@pytest.mark.parametrize("isolated", [False, True])
def test_decode_chunk_has_the_size_of_most_frames_if_it_changes(
    tmp_path: Path,
    small: int,
    large: int,
    expected: tuple[int, int],
    others: int,
    isolated: bool,
) -> None:
    parts = [
        write_video(tmp_path / "small.ts", small),
        write_video(tmp_path / "large.ts", large, size=(64, 48), first=small),
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    info, [chunk] = plan_chunks("clip", path, 8)
    assert info.num_frames == 40
    if isolated:
        with DecodingProcess() as process:
            result = process.decode(chunk)
    else:
        result = decode_chunk(chunk)
    assert result.frames.shape == (5, *expected, 3)
    assert read_indices(result.frames) == [0, 8, 16, 24, 32]
    text = f"the size of the picture changes; {others} of 5 frames are scaled"
    assert [problem[: len(text)] for problem in result.problems] == ([text] if others else [])


def test_decode_chunk_of_a_folder_has_the_size_of_most_images(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(10):
        size = (64, 48) if index else (16, 12)
        Image.fromarray(draw_index(index, size)).save(folder / f"{index:02}.png")
    _, [chunk] = plan_chunks("clip", folder, 3)
    result = decode_chunk(chunk, 24)
    assert result.frames.shape == (4, 24, 32, 3)
    assert read_indices(result.frames) == [0, 3, 6, 9]


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((64, 48), 24, (24, 32)),
        ((48, 64), 24, (32, 24)),
        ((64, 48), 48, (48, 64)),
        ((64, 48), 500, (48, 64)),
        ((64, 48), None, (48, 64)),
        ((200, 16), 12, (12, 150)),
    ],
)
def test_decode_chunk_scales_down_to_the_short_side_and_never_up(
    tmp_path: Path, size: tuple[int, int], short_side: int | None, expected: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "clip.mp4", 20, size=size)
    _, [chunk] = plan_chunks("clip", path)
    frames = decode_chunk(chunk, short_side).frames
    assert frames.shape == (2, *expected, 3)
    assert read_indices(frames) == [0, 16]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.h264"])
def test_read_frames_returns_the_frames_at_the_given_times(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, 40, size=(64, 48), b_frames=2)
    frames: list[NDArray[np.uint8]] = read_frames(path, [1.0, 0.0, 0.99, 0.04, 1e6, -5.0], 24)
    assert [frame.shape for frame in frames] == [(24, 32, 3)] * 6
    assert read_indices(frames) == [25, 0, 24, 1, 39, 0]


@given(index=st.integers(0, 4095), width=st.integers(16, 70), height=st.integers(12, 70))
def test_helper_reads_back_the_index_it_draws(index: int, width: int, height: int) -> None:
    assert read_index(draw_index(index, (width, height))) == index
