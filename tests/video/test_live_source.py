"""Live sources: a file that grows, bytes that break off, and readers that are too slow."""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from exvad.video.live_source import LiveFrame, LiveSource, Notice, Opener, Readable, growing_file


def stream(frames: int, shade: int = 0, fps: int = 10) -> bytes:
    """An MPEG-TS of so many grey pictures, each a bit lighter than the last."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        video = container.add_stream("libx264", rate=fps, options={"g": "5", "tune": "zerolatency"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            pixels = np.full((48, 64, 3), (shade + 2 * number) % 250, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode())
    return buffer.getvalue()


def opens(*parts: bytes) -> Opener:
    """Give these bytes, one after the other, each time it is opened."""
    left = list(parts)

    @contextmanager
    def open(stopped: threading.Event) -> Iterator[Readable | str]:
        yield io.BytesIO(left.pop(0) if left else b"")

    return open


def collect(
    source: LiveSource, stopped: threading.Event, seconds: float = 20
) -> tuple[list[LiveFrame], list[Notice]]:
    pictures: list[LiveFrame] = []
    notices: list[Notice] = []
    until = time.monotonic() + seconds
    for found in source.follow(stopped):
        if isinstance(found, Notice):
            notices.append(found)
        else:
            pictures += found
        assert time.monotonic() < until, notices
    return pictures, notices


@pytest.fixture
def stopped() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_file_is_followed_while_it_grows(tmp_path: Path, stopped: threading.Event) -> None:
    path, data = tmp_path / "camera.ts", stream(80)
    path.write_bytes(data[: len(data) // 4])

    def grow() -> None:
        for start in range(len(data) // 4, len(data), len(data) // 8):
            time.sleep(0.15)
            with path.open("ab") as file:
                file.write(data[start : start + len(data) // 8])

    writer = threading.Thread(target=grow)
    writer.start()
    source = LiveSource(growing_file(path, idle_seconds=1.5), "camera.ts", 8, 24, ends=True)
    pictures, notices = collect(source, stopped)
    writer.join()
    assert len(pictures) == 10
    np.testing.assert_allclose(
        [picture.time for picture in pictures], np.arange(10) * 0.8, atol=0.01
    )
    assert pictures[0].frame.shape == (24, 32, 3)
    shades = [int(picture.frame.mean()) for picture in pictures]
    assert shades == sorted(shades)
    assert [notice.kind for notice in notices] == ["connected", "ended"]


def test_a_stream_that_breaks_is_opened_again_and_time_goes_on(
    stopped: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.video.live_source.PAUSES", (0.05,))
    source = LiveSource(opens(stream(20), stream(20), b"rubbish"), "camera", 5, 48, lives=2)
    pictures, notices = collect(source, stopped)
    times = [picture.time for picture in pictures]
    assert len(times) == 8
    assert all(late > early for early, late in itertools.pairwise(times))
    assert [notice.kind for notice in notices][:4] == ["connected", "lost", "connected", "lost"]
    assert notices[-1].kind == "ended"
    assert "given up" in notices[-1].text


def test_who_is_too_slow_misses_the_oldest_and_hears_of_it(stopped: threading.Event) -> None:
    source = LiveSource(opens(stream(200)), "camera", 1, 48, ahead=10, ends=True)
    found = source.follow(stopped)
    first = next(found)
    time.sleep(2)  # all of the stream comes in meanwhile
    rest = [first, *found]
    pictures = [picture for each in rest if isinstance(each, list) for picture in each]
    notices = [each for each in rest if isinstance(each, Notice)]
    assert pictures[-1].time == pytest.approx(19.9, abs=0.01), "the newest are there"
    assert len(pictures) <= 20
    (dropped,) = [notice for notice in notices if notice.kind == "dropped"]
    assert int(dropped.text.split()[0]) + len(pictures) == 200


def test_it_stops_at_once_even_while_nothing_comes(tmp_path: Path) -> None:
    path, event = tmp_path / "camera.ts", threading.Event()
    path.write_bytes(stream(20))
    source = LiveSource(growing_file(path, idle_seconds=600), "camera.ts", 5, 48)
    found = source.follow(event)
    next(found)
    threading.Timer(0.3, event.set).start()
    began = time.monotonic()
    for _ in found:
        pass
    assert time.monotonic() - began < 2
    until = time.monotonic() + 5
    while any("_read" in thread.name for thread in threading.enumerate()):
        assert time.monotonic() < until, "a reading thread was left behind"
        time.sleep(0.1)


def test_what_is_not_there_is_said_and_tried_again(
    tmp_path: Path, stopped: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.video.live_source.PAUSES", (0.05,))
    source = LiveSource(growing_file(tmp_path / "none.ts"), "none.ts", 5, 48, lives=2)
    pictures, notices = collect(source, stopped)
    assert pictures == []
    assert [notice.kind for notice in notices] == ["lost", "lost", "ended"]
    assert "No such file" in notices[0].text
