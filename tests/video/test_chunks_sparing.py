"""Pictures that nobody needs are not decoded, and those that are come out the same to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from exvad.video import container as video_file
from exvad.video.chunks import plan_chunks
from exvad.video.decoding import decode_chunk
from tests.helpers.videos import write_video

PYRAMID = {"x264-params": "bframes=5:b-adapt=0:b-pyramid=normal:keyint=40"}
FRAMES, STRIDE = 120, 7


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
def test_a_chunk_holds_what_decoding_everything_gives(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    path = write_video(tmp_path / name, FRAMES, size=(64, 48), **options)
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    _, chunks = plan_chunks("clip", path, STRIDE, 4)
    results = [decode_chunk(chunk) for chunk in chunks]
    assert [result.problems for result in results] == [[]] * len(chunks)
    got = np.concatenate([result.frames for result in results])
    np.testing.assert_array_equal(got, np.stack(pictures[::STRIDE]))


def test_half_of_the_pictures_of_a_pyramid_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "clip.mp4", FRAMES, size=(64, 48), options=PYRAMID)
    _, (chunk,) = plan_chunks("clip", path, STRIDE, 256)
    decoded = 0
    decode_packet = video_file.decode_packet

    def counted(*arguments: Any) -> list[Any]:
        nonlocal decoded
        frames = decode_packet(*arguments)
        decoded += len(frames)
        return frames

    monkeypatch.setattr(video_file, "decode_packet", counted)
    assert decode_chunk(chunk).problems == []
    assert decoded < 0.7 * FRAMES
