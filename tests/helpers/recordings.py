"""Recordings of streams: the fragments of a video, a ring of them, and what a clip shows."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import av

from exvad.video.footage.recorder import Fragment, Recorder
from exvad.video.live_source import LiveSource, growing_file
from tests.helpers.videos import read_index


def record(path: Path, start_time: float = 0.0) -> tuple[list[Fragment], list[str]]:
    """Return the fragments of a file that is read as a stream, and the problems of recording it."""
    fragments, problems = list[Fragment](), list[str]()
    source = LiveSource(
        growing_file(path, 0.0), "door", 10, 48, ends_with_data=True, start_time=start_time
    )
    source.recorder = Recorder(fragments.append, problems.append)
    list(source.follow(threading.Event()))
    return fragments, problems


def show(content: bytes) -> list[tuple[int, float]]:
    """Return the index that each frame of an MP4 shows, and its time in seconds."""
    source: Any = av.open(io.BytesIO(content))
    with source as container:
        return [
            (read_index(frame.to_ndarray(format="rgb24")), round(float(frame.time or 0), 3))
            for frame in container.decode(video=0)
        ]
