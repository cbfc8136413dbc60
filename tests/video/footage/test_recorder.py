"""Packets become fragments of MP4 that decode to the same frames at the same times."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.video.footage.mp4_boxes import place_fragment, read_timescale
from exvad.video.footage.recorder import Fragment
from tests.helpers.recordings import record, show
from tests.helpers.videos import FAST_VPX, write_video


def join(fragments: list[Fragment]) -> bytes:
    """Return fragments of one encoding as a file."""
    head = fragments[0].head
    scale, first = read_timescale(head), fragments[0].start
    placed = [
        place_fragment(item.data, number, round((item.start - first) * scale))
        for number, item in enumerate(fragments, start=1)
    ]
    return head + b"".join(placed)


@pytest.mark.parametrize(
    ("suffix", "codec", "b_frames"),
    [
        (".ts", "libx264", 0),
        (".ts", "libx264", 2),
        (".mkv", "libx264", 2),
        (".ts", "mpeg4", 0),
        (".mkv", "mjpeg", 0),
    ],
)
def test_fragments_show_all_frames_at_their_times(
    tmp_path: Path, suffix: str, codec: str, b_frames: int
) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_video(
        tmp_path / f"clip{suffix}", 80, codec=codec, b_frames=b_frames, gop=30, pix_fmt=pix_fmt
    )
    fragments, problems = record(path, start_time=100.0)
    assert problems == []
    assert len(fragments) > 1
    assert all(item.head == fragments[0].head and item.is_key for item in fragments)
    assert fragments[0].start == pytest.approx(100, abs=0.2)
    assert fragments[-1].end == pytest.approx(103.2, abs=0.1)
    shown = show(join(fragments))
    begin = shown[0][1]
    assert [index for index, _ in shown] == list(range(80))
    assert [round(time - begin, 2) for _, time in shown] == pytest.approx(
        [index / 25 for index in range(80)], abs=0.011
    )


def test_a_fragment_ends_before_a_distant_key_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.ts", 150, gop=500, fps=25)
    fragments, _ = record(path)
    assert [item.is_key for item in fragments] == [True, False]
    assert [index for index, _ in show(join(fragments))] == list(range(150))


def test_another_resolution_begins_another_encoding(tmp_path: Path) -> None:
    large = write_video(tmp_path / "large.ts", 60, size=(96, 72), gop=10)
    small = write_video(tmp_path / "small.ts", 60, size=(64, 48), gop=10)
    both = tmp_path / "both.ts"
    both.write_bytes(large.read_bytes() + small.read_bytes())
    fragments, problems = record(both)
    assert problems == []
    heads = list(dict.fromkeys(item.head for item in fragments))
    assert len(heads) == 2
    for head in heads:
        part = [item for item in fragments if item.head == head]
        assert [index for index, _ in show(join(part))][:50] == list(range(50))


def test_what_mp4_has_no_place_for_is_a_problem_once(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", 60, codec="libvpx", options=FAST_VPX)
    fragments, problems = record(path)
    assert fragments == []
    (problem,) = problems
    assert problem.startswith("can't be recorded as MP4: ")
