"""The length and rate of video files, read in a child process because files are not trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from exvad.config import SandboxMode
from exvad.data.annotations.clock import FrameClock
from exvad.data.annotations.convert import VideoLength
from exvad.video.container import DEFAULT_FPS
from exvad.video.sandbox import DecodingProcess

_STRIDE, _SNIPPETS = 16, 256  # any values: only the length and the rate are used


@contextmanager
def clocks_read_by(
    seconds: float = 120, folder_fps: float = DEFAULT_FPS, mode: SandboxMode = "best"
) -> Iterator[Callable[[Path], FrameClock]]:
    """Yield a function from a path to the clock of that video.

    Args:
        seconds: maximum time per video; a longer one is a `VideoError`.
        folder_fps: frames per second of videos that are folders of frames.
        mode: confinement of the process, `stages.sandbox`; the function raises SandboxError where
            this machine can't confine it so.
    """
    with DecodingProcess(seconds=seconds, mode=mode) as process:

        def read_clock(path: Path) -> FrameClock:
            info, chunks = process.plan(path.stem, path, _STRIDE, _SNIPPETS, folder_fps=folder_fps)
            points = [value for chunk in chunks for value in chunk.clock]
            return FrameClock(info.num_frames, info.fps, points[::2], points[1::2])

        yield read_clock


@contextmanager
def measured_by(seconds: float = 120, folder_fps: float = DEFAULT_FPS) -> Iterator[VideoLength]:
    """Yield a function from a path to the number of frames and the rate of that video.

    Args:
        seconds: maximum time per video; a longer one is a `VideoError`.
        folder_fps: frames per second of videos that are folders of frames.
    """
    with clocks_read_by(seconds, folder_fps) as read_clock:

        def measure(path: Path) -> tuple[int, float]:
            clock = read_clock(path)
            return clock.num_frames, clock.fps

        yield measure
