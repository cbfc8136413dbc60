"""Decoding: every container and codec that the documentation names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exvad.video.survey import probe
from tests.helpers.videos import FAST_VPX, decode_video, write_video

FRAMES = 35
FORMATS: list[tuple[str, dict[str, Any]]] = [
    ("clip.mov", {"b_frames": 2}),
    ("clip.m4v", {"codec": "mpeg4"}),
    ("clip.flv", {"b_frames": 2}),
    ("clip.flv", {"codec": "flv"}),
    ("clip.wmv", {"codec": "wmv2"}),
    ("clip.asf", {"codec": "mpeg4"}),
    ("clip.mxf", {"codec": "mpeg2video", "size": (64, 48)}),
    ("clip.ogv", {"codec": "libvpx", "options": FAST_VPX}),
    ("clip.m2ts", {"b_frames": 2}),
    ("clip.mpg", {"codec": "mpeg1video"}),
    ("clip.vob", {"codec": "mpeg2video"}),
    ("clip.ts", {"codec": "mpeg2video"}),
    ("clip.gif", {"codec": "gif", "pix_fmt": "rgb8"}),
    ("clip.apng", {"codec": "apng", "pix_fmt": "rgb24"}),
    ("clip.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=0:pools=1"}}),
    ("clip.hevc", {"codec": "libx265", "options": {"x265-params": "log-level=0:pools=1"}}),
    ("clip.mkv", {"codec": "libsvtav1", "options": {"preset": "13"}, "size": (64, 64)}),
    ("clip.mp4", {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "deadline": "realtime"}}),
    ("clip.mjpeg", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    ("clip.y4m", {"codec": "wrapped_avframe"}),
    ("clip.nut", {"codec": "ffv1"}),
]


@pytest.mark.parametrize(
    ("name", "options"), FORMATS, ids=[f"{name}-{o.get('codec', 'h264')}" for name, o in FORMATS]
)
def test_a_format_that_the_documentation_names_is_decoded(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    size = {"size": (32, 24), **options}["size"]
    path = write_video(tmp_path / name, FRAMES, **options)
    info = probe(path)
    assert (info.num_frames, info.width, info.height) == (FRAMES, *size)
    indices, times, problems, _ = decode_video(path, 8, 2)
    assert indices == [0, 8, 16, 24, 32]
    assert times == pytest.approx([index / 25 for index in indices], abs=2e-3)
    assert problems == []


@pytest.mark.parametrize(
    ("name", "options"), [("clip.mp4", {}), ("clip.ts", {}), ("clip.avi", {"codec": "mpeg4"})]
)
@pytest.mark.parametrize("wrong", ["clip.mkv", "clip.jpg"])
def test_a_wrong_suffix_changes_nothing(
    tmp_path: Path, name: str, options: dict[str, Any], wrong: str
) -> None:
    path = write_video(tmp_path / name, 20, **options)
    expected = decode_video(path, 8)[:3]
    assert decode_video(path.rename(tmp_path / wrong), 8)[:3] == expected
