"""The ring keeps the newest part of a stream on disk, within its limits."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from exvad.serving.recording.clip import Clip
from exvad.serving.recording.ring import (
    Limits,
    RecordingRing,
    clean_up,
    delete_recording,
    read_fragments,
)
from exvad.video.footage.recorder import Fragment
from tests.helpers.disks import fill, small_disk
from tests.helpers.recordings import record, show
from tests.helpers.videos import write_video

LIMITS = Limits(hours=1, max_bytes=2**30, min_free_bytes=0)


@pytest.fixture(scope="module")
def fragment(tmp_path_factory: pytest.TempPathFactory) -> Fragment:
    """A fragment of a second: 25 frames from 0."""
    folder = tmp_path_factory.mktemp("clip")
    fragments, _ = record(write_video(folder / "clip.ts", 25, gop=25))
    return fragments[0]


def at(fragment: Fragment, start: float) -> Fragment:
    return replace(fragment, start=start, end=start + 1)


def test_files_are_of_a_minute_and_play_by_themselves(tmp_path: Path, fragment: Fragment) -> None:
    ring = RecordingRing(tmp_path, LIMITS)
    for second in range(130):
        ring.append(at(fragment, second))
    kept = read_fragments(tmp_path)
    assert [item.start for item in kept] == list(range(130))
    files = sorted(tmp_path.glob("*.mp4"))
    assert [sum(item.path == path for item in kept) for path in files] == [60, 60, 10]
    shown = show(files[1].read_bytes())
    assert len(shown) == 60 * 25
    assert shown[-1] == (24, 59.96)


def test_the_oldest_files_beyond_the_limits_are_deleted(tmp_path: Path, fragment: Fragment) -> None:
    size = 60 * len(fragment.data) + len(fragment.head)
    ring = RecordingRing(tmp_path, replace(LIMITS, max_bytes=int(2.5 * size)))
    for second in range(300):
        ring.append(at(fragment, second))
    assert min(item.start for item in read_fragments(tmp_path)) == 120
    oldest = min(tmp_path.glob("*.mp4"))
    os.utime(oldest, (0, time.time() - 3601))
    clean_up(tmp_path.parent, lambda _: True)
    assert min(item.start for item in read_fragments(tmp_path)) == 180
    assert {path.stem for path in tmp_path.glob("*.jsonl")} == {
        path.stem for path in tmp_path.glob("*.mp4")
    }


def test_a_full_disk_costs_the_oldest_and_then_is_a_problem(
    tmp_path: Path, fragment: Fragment
) -> None:
    ring = RecordingRing(tmp_path, LIMITS)
    for second in range(70):
        ring.append(at(fragment, second))
    full = RecordingRing(tmp_path, replace(LIMITS, min_free_bytes=2**60))
    with pytest.raises(OSError, match="the disk is nearly full"):
        full.append(at(fragment, 70))
    assert read_fragments(tmp_path) == []


def test_a_full_disk_leaves_nothing_half_written_and_the_recording_as_it_was(
    tmp_path: Path, fragment: Fragment
) -> None:
    # It fills up after the look at its room, as another program may fill it.
    limits = replace(LIMITS, min_free_bytes=-(2**40))
    with small_disk(tmp_path / "disk", "256k") as disk:
        ring = RecordingRing(disk / "door", limits)
        ring.append(at(fragment, 0))
        files = sorted(path.name for path in (disk / "door").iterdir())
        filler = fill(disk)
        with pytest.raises(OSError, match="No space left"):
            ring.append(at(fragment, 100))  # in a new file
        assert sorted(path.name for path in (disk / "door").iterdir()) == files
        with pytest.raises(OSError, match="No space left"):
            RecordingRing(disk / "door", replace(limits, hours=2)).append(at(fragment, 100))
        clean_up(disk, lambda _: True)
        assert [item.start for item in read_fragments(disk / "door")] == [0]
        filler.unlink()
        ring.append(at(fragment, 100))
        assert [item.start for item in read_fragments(disk / "door")] == [0, 100]


def test_a_file_that_is_read_again_is_recorded_once(tmp_path: Path, fragment: Fragment) -> None:
    for _ in range(2):
        ring = RecordingRing(tmp_path, LIMITS)
        for second in range(3):
            ring.append(at(fragment, second))
    assert [item.start for item in read_fragments(tmp_path)] == [0, 1, 2]


def test_a_line_that_is_half_written_is_left_out(tmp_path: Path, fragment: Fragment) -> None:
    RecordingRing(tmp_path, LIMITS).append(at(fragment, 0))
    with next(tmp_path.glob("*.jsonl")).open("a") as index:
        index.write("[7")
    assert [item.start for item in read_fragments(tmp_path)] == [0]


def test_recordings_of_streams_that_are_gone_are_deleted(
    tmp_path: Path, fragment: Fragment
) -> None:
    for name in ("here", "gone", "deleted"):
        RecordingRing(tmp_path / name, LIMITS).append(at(fragment, 0))
    (tmp_path / "unreadable").mkdir()
    delete_recording(tmp_path / "deleted")
    clean_up(tmp_path, lambda name: name != "gone")
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    clean_up(tmp_path / "missing", lambda _: True)


def test_a_clip_begins_at_a_key_frame_before_its_span(tmp_path: Path, fragment: Fragment) -> None:
    ring = RecordingRing(tmp_path, LIMITS)
    for second in range(70):
        ring.append(replace(at(fragment, second), is_key=second % 4 == 0))
    clip = Clip(tmp_path, 58.5, 61.5, around=0.0)
    assert clip.start == 56
    shown = show(b"".join(clip.read()))
    assert len(shown) == 6 * 25
    assert shown[-1] == (24, 5.96)


def test_a_clip_shows_a_lost_connection_as_a_pause(tmp_path: Path, fragment: Fragment) -> None:
    ring = RecordingRing(tmp_path, LIMITS)
    for second in (0, 10):
        ring.append(at(fragment, second))
    shown = show(b"".join(Clip(tmp_path, 0, 11, around=0.0).read()))
    assert [time for index, time in shown if index == 0] == [0.0, 10.0]


def test_a_clip_is_of_one_encoding(tmp_path: Path, fragment: Fragment) -> None:
    large = write_video(tmp_path / "large.ts", 25, gop=25, size=(64, 48))
    other = record(large)[0][0]
    ring = RecordingRing(tmp_path / "ring", LIMITS)
    for second in range(8):
        ring.append(at(other if second >= 5 else fragment, second))
    clip = Clip(tmp_path / "ring", 4.5, 7.5, around=5.0)
    assert clip.start == 5
    assert len(show(b"".join(clip.read()))) == 3 * 25


def test_a_clip_of_what_is_not_kept_is_refused(tmp_path: Path, fragment: Fragment) -> None:
    RecordingRing(tmp_path, LIMITS).append(at(fragment, 0))
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ValueError, match="not kept any more"):
            Clip(folder, 20, 21, around=5.0)
