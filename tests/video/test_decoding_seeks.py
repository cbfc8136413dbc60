"""Seeking: misleading containers give no wrong frame, and unneeded frames are skipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from exvad.video import container as container_module
from exvad.video.chunks import plan_chunks
from exvad.video.decoding import decode_chunk
from tests.helpers.videos import decode_video, write_video

INTRA_REFRESH = {"x264-params": "intra-refresh=1:keyint=12:bframes=0"}
OPEN_GOP = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:b-adapt=0"}
PYRAMID = {"x264-params": "bframes=5:b-adapt=0:b-pyramid=normal:keyint=40"}
FRAMES, STRIDE = 120, 7


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("intra-refresh.mp4", {"options": INTRA_REFRESH}),
        ("intra-refresh.ts", {"options": INTRA_REFRESH}),
        ("open-gop.mp4", {"options": OPEN_GOP}),
        ("open-gop.ts", {"options": OPEN_GOP}),
        ("program-stream.mpg", {"codec": "mpeg2video", "options": {"bf": "2"}}),
        ("no-order.avi", {"options": {"x264-params": "bframes=3:b-adapt=0"}}),
        ("clip.flv", {"options": {"x264-params": "bframes=3:b-adapt=0"}}),
    ],
)
def test_a_misleading_seek_gives_no_wrong_frames(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    path = write_video(tmp_path / name, 60, size=(64, 48), **options)
    indices, _, problems, _ = decode_video(path, 3, 4)
    assert problems == []
    assert indices == list(range(0, 60, 3))


def test_frames_of_concatenated_recordings_are_counted(tmp_path: Path) -> None:
    first = write_video(tmp_path / "first.ts", 30)
    second = write_video(tmp_path / "second.ts", 30, size=(64, 48), first=30)
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    indices, _, problems, _ = decode_video(path, 3, 4)
    assert len(problems) == 1, "of the chunk in which the size changes"
    assert indices == list(range(0, 60, 3))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pyramid.mp4", {"options": PYRAMID}),
        ("pyramid.ts", {"options": PYRAMID}),
        ("pyramid.mkv", {"options": PYRAMID}),
        ("mpeg4.mp4", {"codec": "mpeg4", "b_frames": 2}),
        ("mpeg2.ts", {"codec": "mpeg2video", "options": {"bf": "2"}}),
        ("hevc.mp4", {"codec": "libx265", "options": {"x265-params": "bframes=4:log-level=none"}}),
        ("vp9.webm", {"codec": "libvpx-vp9"}),
    ],
)
def test_skipping_unneeded_frames_changes_no_pixel(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    path = write_video(tmp_path / name, FRAMES, size=(64, 48), **options)
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    _, chunks = plan_chunks("clip", path, STRIDE, 4)
    results = [decode_chunk(chunk) for chunk in chunks]
    assert [result.problems for result in results] == [[]] * len(chunks)
    decoded = np.concatenate([result.frames for result in results])
    np.testing.assert_array_equal(decoded, np.stack(frames[::STRIDE]))


def test_decode_chunk_skips_unneeded_frames_of_a_pyramid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "clip.mp4", FRAMES, size=(64, 48), options=PYRAMID)
    _, (chunk,) = plan_chunks("clip", path, STRIDE, 256)
    decoded = 0
    decode_packet = container_module.decode_packet

    def counted(*arguments: Any) -> list[Any]:
        nonlocal decoded
        frames = decode_packet(*arguments)
        decoded += len(frames)
        return frames

    monkeypatch.setattr(container_module, "decode_packet", counted)
    assert decode_chunk(chunk).problems == []
    assert decoded < 0.7 * FRAMES
