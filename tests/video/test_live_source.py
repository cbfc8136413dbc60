"""Live sources: growing files, broken connections, and slow consumers."""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from exvad.video.chunks import plan_chunks
from exvad.video.decoding import decode_chunk
from exvad.video.frame_buffer import LiveFrame, Notice
from exvad.video.live_source import GrowingFile, LiveSource, Opener, Readable, growing_file
from tests.helpers.videos import read_indices, remux, set_mp4_matrix, write_streams, write_video

FIELDS = Path(__file__).parent / "footage" / "media" / "fields.h264"


def stream(frames: int, shade: int = 0, fps: int = 10) -> bytes:
    """Return an MPEG-TS of gray frames, each a bit lighter than the last."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        video = container.add_stream("libx264", rate=fps, options={"g": "5", "tune": "zerolatency"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for index in range(frames):
            pixels = np.full((48, 64, 3), (shade + 2 * index) % 250, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode())
    return buffer.getvalue()


def opens(*parts: bytes) -> Opener:
    """Return an opener that gives the next part each time."""
    remaining = list(parts)

    @contextmanager
    def open(stopped: threading.Event) -> Iterator[Readable | str]:
        yield io.BytesIO(remaining.pop(0) if remaining else b"")

    return open


def collect(
    source: LiveSource, stopped: threading.Event, seconds: float = 20
) -> tuple[list[LiveFrame], list[Notice]]:
    """Follow a source to its end; return its frames and notices."""
    frames: list[LiveFrame] = []
    notices: list[Notice] = []
    deadline = time.monotonic() + seconds
    for item in source.follow(stopped):
        if isinstance(item, Notice):
            notices.append(item)
        else:
            frames += item
        assert time.monotonic() < deadline, notices
    return frames, notices


@pytest.fixture
def stopped() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_growing_file_is_followed_to_its_end(tmp_path: Path, stopped: threading.Event) -> None:
    path, data = tmp_path / "camera.ts", stream(80)
    path.write_bytes(data[: len(data) // 4])

    def grow() -> None:
        for start in range(len(data) // 4, len(data), len(data) // 8):
            time.sleep(0.15)
            with path.open("ab") as file:
                file.write(data[start : start + len(data) // 8])

    writer = threading.Thread(target=grow)
    writer.start()
    source = LiveSource(
        growing_file(path, idle_seconds=1.5), "camera.ts", 8, 24, ends_with_data=True
    )
    frames, notices = collect(source, stopped)
    writer.join()
    assert len(frames) == 10
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(10) * 0.8, atol=0.01)
    assert frames[0].frame.shape == (24, 32, 3)
    shades = [int(frame.frame.mean()) for frame in frames]
    assert shades == sorted(shades)
    assert [notice.kind for notice in notices] == ["connected", "ended"]


def test_a_broken_stream_is_opened_again_and_its_times_increase(
    stopped: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.video.live_source.RETRY_SECONDS", (0.05,))
    source = LiveSource(opens(stream(20), stream(20), b"rubbish"), "camera", 5, 48, max_retries=2)
    frames, notices = collect(source, stopped)
    times = [frame.time for frame in frames]
    assert len(times) == 8
    assert all(late > early for early, late in itertools.pairwise(times))
    assert [notice.kind for notice in notices][:4] == ["connected", "lost", "connected", "lost"]
    assert notices[-1].kind == "ended"
    assert "given up" in notices[-1].text


def test_the_time_without_a_connection_is_a_gap(
    stopped: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.video.live_source.RETRY_SECONDS", (0.5,))
    parts = stream(20, fps=100), b"rubbish", stream(20, fps=100)
    source = LiveSource(opens(*parts), "camera", 5, 48, max_retries=1)
    frames, _ = collect(source, stopped)
    assert [len(frame.gaps) for frame in frames] == [0, 0, 0, 0, 1, 0, 0, 0]
    [(start, end)] = frames[4].gaps
    assert start == pytest.approx(frames[3].time + 0.05, abs=0.01)
    assert end == frames[4].time > start + 0.5


def test_a_slow_consumer_loses_the_oldest_frames_and_gets_their_number(
    stopped: threading.Event,
) -> None:
    source = LiveSource(opens(stream(200)), "camera", 1, 48, buffer_size=10, ends_with_data=True)
    items = source.follow(stopped)
    first = next(items)
    time.sleep(2)  # meanwhile the whole stream is decoded
    received = [first, *items]
    frames = [frame for item in received if isinstance(item, list) for frame in item]
    notices = [item for item in received if isinstance(item, Notice)]
    assert frames[-1].time == pytest.approx(19.9, abs=0.01), "the newest frames are there"
    assert len(frames) <= 20
    (dropped,) = [notice for notice in notices if notice.kind == "dropped"]
    assert int(dropped.text.split()[0]) + len(frames) == 200
    assert dropped.count == int(dropped.text.split()[0])


def test_follow_stops_at_once_without_new_data(tmp_path: Path) -> None:
    path, event = tmp_path / "camera.ts", threading.Event()
    path.write_bytes(stream(20))
    source = LiveSource(growing_file(path, idle_seconds=600), "camera.ts", 5, 48)
    items = source.follow(event)
    next(items)
    threading.Timer(0.3, event.set).start()
    began = time.monotonic()
    for _ in items:
        pass
    assert time.monotonic() - began < 2
    deadline = time.monotonic() + 5
    while any("_read" in thread.name for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a reading thread was left behind"
        time.sleep(0.1)


def test_a_missing_file_is_reported_and_tried_again(
    tmp_path: Path, stopped: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.video.live_source.RETRY_SECONDS", (0.05,))
    source = LiveSource(growing_file(tmp_path / "none.ts"), "none.ts", 5, 48, max_retries=2)
    frames, notices = collect(source, stopped)
    assert frames == []
    assert [notice.kind for notice in notices] == ["lost", "lost", "ended"]
    assert "No such file" in notices[0].text


def follow_file(path: Path, stopped: threading.Event, **options: Any) -> list[LiveFrame]:
    """Follow a file that does not grow any more; return its frames."""
    settings: dict[str, Any] = {"stride": 4, "short_side": 64, "buffer_size": 10_000, **options}
    source = LiveSource(growing_file(path, 0.1), path.name, ends_with_data=True, **settings)
    return collect(source, stopped)[0]


FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain.ts", {}),
        ("b-frames.ts", {"b_frames": 2}),
        ("plain.mkv", {}),
        # A time for a packet with several frames, and so for few frames only.
        ("sparse.mpg", {}),
        ("sparse-b-frames.mpg", {"b_frames": 2}),
        ("sparse-loop.mpg", {"loops": 2}),
        ("stopped-clock.mkv", {"frozen": 80}),
        ("coarse-clock.mkv", {"frozen": 25}),
        ("variable.mkv", {"milliseconds": [*range(0, 9000, 300), *range(9000, 10_000, 20)]}),
        ("gap.mkv", {"milliseconds": [40 * i + 600_000 * (i > 33) for i in range(80)]}),
        ("squeezed.ts", {"aspect": Fraction(8, 3)}),
        ("loop.ts", {"loops": 3}),
        ("turned.mp4", {"turns": 1}),
        ("mirrored.mp4", {"turns": 0, "mirrored": True}),
        ("fields.h264", {}),
    ],
)
@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_a_growing_file_is_seen_like_one_that_is_complete(
    tmp_path: Path, stopped: threading.Event, name: str, options: dict[str, Any], seconds: float
) -> None:
    """Live and offline: the same frames, times, stream, geometry and colours."""
    path = tmp_path / name
    options = {"size": (64, 48), **options}
    loops, mirrored = options.pop("loops", 1), options.pop("mirrored", False)
    frozen = options.pop("frozen", 0)
    if name == "fields.h264":
        path.write_bytes(FIELDS.read_bytes())
    elif path.suffix == ".mp4":
        whole = write_video(tmp_path / "whole.mp4", 80, **options)
        if mirrored:
            set_mp4_matrix(whole, -1, 0, 0, 1)
        remux(whole, path, lambda _, time: time, FRAGMENTED)
        if mirrored or options["turns"]:
            set_mp4_matrix(path, *((-1, 0, 0, 1) if mirrored else (0, 1, -1, 0)))
    elif frozen:
        whole = write_video(tmp_path / "whole.mp4", 80, **options)
        remux(whole, path, lambda index, _: 40 * (index - index % frozen))
    else:
        path.write_bytes(write_video(path, 80, **options).read_bytes() * loops)
    info, chunks = plan_chunks("clip", path, 4, 256, seconds)
    decoded = [decode_chunk(chunk, 64) for chunk in chunks]
    live = follow_file(path, stopped, stride_seconds=seconds)
    expected = np.concatenate([chunk.frames for chunk in decoded])
    np.testing.assert_array_equal(np.stack([frame.frame for frame in live]), expected)
    times = np.concatenate([chunk.times for chunk in decoded])
    assert [frame.time for frame in live] == pytest.approx(times + live[0].time, abs=2e-3)
    assert info.num_frames == (17 if name == "fields.h264" else 80 * loops)


def test_a_file_that_breaks_off_ends(tmp_path: Path, stopped: threading.Event) -> None:
    """Read from the beginning again, the same events would be alerts again."""
    data = write_video(tmp_path / "clip.flv", 100, size=(64, 48)).read_bytes()
    joined = tmp_path / "joined.flv"
    joined.write_bytes(data * 2)
    source = LiveSource(
        growing_file(joined, 0.1), "joined.flv", 1, 48, buffer_size=10_000, ends_with_data=True
    )
    frames, notices = collect(source, stopped)
    assert read_indices([frame.frame for frame in frames]) == list(range(100))
    assert [notice.kind for notice in notices] == ["connected", "ended"]
    assert "joined.flv: broke off (Invalid data" in notices[-1].text


@pytest.mark.parametrize(("suffix", "codec"), [(".h264", "libx264"), (".hevc", "libx265")])
def test_a_cut_recording_begins_at_its_first_keyframe(
    tmp_path: Path, stopped: threading.Event, suffix: str, codec: str
) -> None:
    options = {"x265-params": "log-level=none:open-gop=0"} if codec == "libx265" else None
    path = tmp_path / f"clip{suffix}"
    write_video(path, 100, codec=codec, gop=40, size=(64, 48), options=options)
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 10 :])
    _, chunks = plan_chunks("clip", path, 1)
    expected = read_indices(decode_chunk(chunks[0], 64).frames)
    frames = follow_file(path, stopped, stride=1)
    assert read_indices([frame.frame for frame in frames])[:5] == expected[:5]


def test_the_default_stream_of_a_live_source_is_read(
    tmp_path: Path, stopped: threading.Event
) -> None:
    path = write_streams(tmp_path / "clip.mkv", default=1)
    frames = follow_file(path, stopped)
    assert read_indices([frame.frame for frame in frames]) == [100, 104, 108, 112, 116]


def test_a_recording_in_a_loop_is_watched_in_every_loop(stopped: threading.Event) -> None:
    """Today's cameras are often files that are sent again and again: the clock begins anew."""
    source = LiveSource(opens(stream(60) * 3), "camera", 5, 48, ends_with_data=True)
    frames, _ = collect(source, stopped)
    times = np.array([frame.time for frame in frames])
    assert times - times[0] == pytest.approx(np.arange(36) * 0.5, abs=0.02)
    gaps = np.array([gap for frame in frames for gap in frame.gaps])
    assert gaps == pytest.approx(times[0] + np.array([[6, 6], [12, 12]]), abs=0.02)


def test_the_end_of_a_growing_file_is_waited_for_once(stopped: threading.Event) -> None:
    file = GrowingFile(io.BytesIO(b"all"), 0.3, stopped)
    assert file.read() == b"all"
    began = time.monotonic()
    assert [file.read() for _ in range(10)] == [b""] * 10
    assert 0.3 <= time.monotonic() - began < 0.9
