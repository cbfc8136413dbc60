"""The process that reads a stream records it, confined as it is, and the ring gives its clips."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from exvad.serving.recording.clip import Clip
from exvad.serving.recording.ring import Limits, RecordingRing, read_fragments
from exvad.serving.sources.stream_process import StreamProcess
from exvad.serving.sources.stream_reader import SourceSpec
from exvad.video.footage.recorder import Fragment
from exvad.video.frame_buffer import Notice
from tests.helpers.recordings import show
from tests.helpers.rtsp import rtsp_camera
from tests.helpers.videos import write_video
from tests.helpers.waiting import holds_within

LIMITS = Limits(1, 2**30, 0)


def spec(path: Path | None = None, url: str | None = None) -> SourceSpec:
    return SourceSpec(
        name="door",
        url=url,
        path=None if path is None else str(path),
        stride=10,
        short_side=48,
        networks=["127.0.0.0/8"],
        idle_seconds=0.1,
        max_bytes=4 * 2**30,
        start_time=0.0,
    )


def frames_of(clip: Clip) -> list[tuple[int, float]]:
    """Return the index that each frame of a clip shows, and its time."""
    content = b"".join(clip.read())
    assert len(content) == clip.size
    return show(content)


def test_a_file_is_recorded_as_it_is_encoded(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.ts", 150, size=(64, 48), gop=25)
    ring = RecordingRing(tmp_path / "ring", LIMITS)
    items = list(StreamProcess(spec(video), ring).follow(threading.Event()))
    assert [item.kind for item in items if isinstance(item, Notice)] == ["connected", "ended"]
    clip = Clip(ring.folder, 2.5, 3.5, around=0.0)
    assert clip.start == pytest.approx(2.0, abs=0.01)
    assert frames_of(clip) == [(50 + index, index / 25) for index in range(50)]


class SlowRing(RecordingRing):
    """A recording on a slow disk."""

    def append(self, fragment: Fragment) -> None:
        """Append a fragment after a while."""
        time.sleep(0.5)
        super().append(fragment)


def test_a_stream_has_ended_once_its_last_frames_are_recorded(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.ts", 50, size=(64, 48), gop=25)
    ring = SlowRing(tmp_path / "ring", LIMITS)
    for _ in StreamProcess(spec(video), ring).follow(threading.Event()):
        pass
    assert read_fragments(ring.folder)[-1].end == pytest.approx(2.0, abs=0.05)


def test_a_camera_is_recorded_over_its_connections(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.ts", 60, size=(64, 48), gop=10, b_frames=2)
    ring = RecordingRing(tmp_path / "ring", LIMITS)
    stopped = threading.Event()
    with rtsp_camera(video.read_bytes()) as camera:
        process = StreamProcess(spec(url=camera.url), ring)
        reading = threading.Thread(target=lambda: list(process.follow(stopped)))
        reading.start()
        # Two fragments of a second are in one connection.
        found = holds_within(60, lambda: len(read_fragments(ring.folder)) > 2)
        stopped.set()
        reading.join()
    assert found
    first, *_, last = read_fragments(ring.folder)
    shown = frames_of(Clip(ring.folder, first.start, last.end, around=1.0))
    assert [index for index, _ in shown].count(20) >= 2
    times = [time for _, time in shown]
    assert times == sorted(set(times))
