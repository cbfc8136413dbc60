"""The child process reads frames and notices; the parent replaces it when it crashes."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exvad.serving.sources.stream_process import StreamProcess
from exvad.serving.sources.stream_reader import SourceSpec
from exvad.video.frame_buffer import LiveFrame, Notice
from tests.helpers.videos import read_index, write_video


@pytest.fixture
def spec(tmp_path: Path) -> SourceSpec:
    clip = write_video(tmp_path / "clip.ts", 40, size=(64, 48))
    return SourceSpec(
        name="door",
        url=None,
        path=str(clip),
        stride=10,
        short_side=48,
        networks=[],
        idle_seconds=0.1,
        max_bytes=4 * 2**30,
        start_time=0.0,
    )


def test_follow_yields_the_frames_and_notices_of_a_file(spec: SourceSpec) -> None:
    items = list(StreamProcess(spec).follow(threading.Event()))
    frames = [frame for item in items if not isinstance(item, Notice) for frame in item]
    notices = [item.kind for item in items if isinstance(item, Notice)]
    assert [read_index(frame.frame) for frame in frames] == [0, 10, 20, 30]
    assert (notices[0], notices[-1]) == ("connected", "ended")


def test_follow_yields_a_frame_in_every_so_many_seconds(spec: SourceSpec) -> None:
    items = StreamProcess(replace(spec, stride_seconds=0.5)).follow(threading.Event())
    frames = [frame for item in items if not isinstance(item, Notice) for frame in item]
    assert [read_index(frame.frame) for frame in frames] == [0, 13, 25, 38]


def test_follow_shows_frames_upright(spec: SourceSpec, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", 20, size=(64, 48), turns=1, faststart=True)
    items = StreamProcess(replace(spec, path=str(clip))).follow(threading.Event())
    frames = [frame for item in items if not isinstance(item, Notice) for frame in item]
    assert [frame.frame.shape for frame in frames] == [(48, 64, 3)] * 2
    assert [read_index(frame.frame) for frame in frames] == [0, 10]


@pytest.mark.parametrize(
    "output",
    [
        "",
        "nonsense",
        "[1]",
        '{"shape": [0, 8], "time": 0, "decoded_at": 0, "gaps": []}',
        '{"shape": [99999, 99999], "time": 0, "decoded_at": 0, "gaps": []}',
        '{"shape": [1, 1], "time": NaN, "decoded_at": 0, "gaps": []}',
        '{"shape": [8, 8], "time": 0, "decoded_at": 0, "gaps": []}',
        '{"shape": [1, 1], "time": 0, "decoded_at": 0, "gaps": [[0]]}\nabc',
        '{"shape": [1, 1], "time": 0, "decoded_at": 0, "gaps": [[0, NaN]]}\nabc',
        '{"shape": [1, 1], "time": 0, "decoded_at": 0, "gaps": [[2, 1]]}\nabc',
        '{"notice": ["lost", "text", -1]}',
        "x" * 100_000,
    ],
)
def test_follow_restarts_a_process_whose_output_is_malformed(
    spec: SourceSpec, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", f"print({output!r})"]
    monkeypatch.setattr("exvad.serving.sources.stream_process.COMMAND", command)
    monkeypatch.setattr("exvad.serving.sources.stream_process.RESTART_SECONDS", 0)
    stopped = threading.Event()
    items = StreamProcess(spec).follow(stopped)
    for _ in range(2):
        assert next(items) == Notice(
            "lost", "door: the process that reads it crashed; it is restarted"
        )
    stopped.set()
    assert list(items) == []


def test_follow_yields_frames_that_were_complete_before_a_crash(
    spec: SourceSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = '{"shape": [1, 2], "time": 3, "decoded_at": 4, "gaps": [[1, 2]]}'
    code = f"import sys; sys.stdout.write({head!r} + chr(10) + 'abcdef'); sys.stdout.flush()"
    monkeypatch.setattr(
        "exvad.serving.sources.stream_process.COMMAND", [sys.executable, "-c", code]
    )
    frames = next(StreamProcess(spec).follow(threading.Event()))
    assert not isinstance(frames, Notice)
    (frame,) = frames
    assert isinstance(frame, LiveFrame)
    assert (frame.time, frame.decoded_at, frame.gaps) == (3, 4, ((1, 2),))
    assert np.array_equal(frame.frame, np.frombuffer(b"abcdef", np.uint8).reshape(1, 2, 3))


def test_follow_says_when_no_frames_have_come_for_a_while(
    spec: SourceSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.serving.sources.stream_process.TICK_SECONDS", 0.1)
    items = StreamProcess(replace(spec, idle_seconds=3)).follow(threading.Event())
    frames = [item for item in items if not isinstance(item, Notice)]
    assert frames[0]
    assert [] in frames
