"""Files that go on behind what is read of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.video.open_file import OpenFile
from exvad.video.survey import probe, survey_packets
from tests.helpers.videos import remux, write_video

_CODECS = {".wmv": "wmv2", ".y4m": "wrapped_avframe"}


def write(path: Path, num_frames: int) -> bytes:
    """Write a video and return its content."""
    codec = _CODECS.get(path.suffix, "libx264")
    return write_video(path, num_frames, codec=codec).read_bytes()


@pytest.mark.parametrize(
    ("name", "parts", "read"),
    [
        ("a.flv", 2, 1),
        ("a.mkv", 3, 2),
        ("a.mp4", 2, 1),
        ("a.mov", 3, 1),
        ("a.3gp", 2, 1),
        ("a.wmv", 2, 1),
        ("a.y4m", 2, 1),
    ],
)
def test_a_recording_that_is_not_read_is_named(
    tmp_path: Path, name: str, parts: int, read: int
) -> None:
    """A joined file, of which FFmpeg takes the second or third header for the end."""
    path = tmp_path / name
    data = write(path, 40)
    assert probe(path).notes == ()
    path.write_bytes(data * parts)
    info = probe(path)
    assert info.num_frames == 40 * read
    assert f" of {parts * len(data):,}; what follows" in info.notes[0]
    if name not in ("a.flv", "a.mkv", "a.mov"):
        assert info.notes[0].startswith(f"its video ends at byte {len(data):,} of")


@pytest.mark.parametrize("name", ["a.mp4", "a.wmv", "a.y4m"])
def test_a_recording_that_is_not_read_is_named_in_an_open_file(tmp_path: Path, name: str) -> None:
    data = write(tmp_path / name, 40)
    joined = data * 2
    file = OpenFile(name, len(joined), lambda start, count: joined[start : start + count])
    info = survey_packets(name, file=file).info
    assert info.notes[0].startswith(f"its video ends at byte {len(data):,} of")


def test_fragments_that_are_joined_are_read(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", 40)
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    path = remux(whole, tmp_path / "a.mp4", lambda _, time: time, options)
    data = path.read_bytes()
    path.write_bytes(data * 2)
    info = probe(path)
    assert info.num_frames > 40
    assert not any("is not read" in note for note in info.notes)


@pytest.mark.parametrize("name", ["a.mp4", "a.wmv", "a.y4m"])
def test_other_content_at_the_end_is_no_recording(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    data = write(path, 40)
    for rest in (b"\0" * len(data), b"\xff" * len(data), b"\0\0\0\x08free" * len(data)):
        path.write_bytes(data + rest)
        assert probe(path).notes == ()
