"""What the sandbox costs: the same chunk decoded in this process and in confined ones, in turns.

Times are those of the CPU, of all processes together, so that other work on the machine does not
count; the time to start the first process is by the clock.

Three works: one chunk of 256 snippets, which is what a task of a job decodes, of a flat H.264 video
of 640×360, which costs next to nothing to decode; 64 snippets of one of 1280×720 whose every pixel
moves, as a camera's do; and one request for a single frame, the worst case for a process per
request.

With --steps only the camera's video is decoded, by this process and by plain forks of it, with and
without what a confined process reads through and writes to: which step costs what.

    python -m bench.sandbox [--quick] [--steps]
"""

from __future__ import annotations

import argparse
import math
import mmap
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import psutil
from numpy.typing import NDArray

from bench._harness import emit
from exvad.video.chunks import plan_chunks
from exvad.video.decoding import decode_chunk, read_frames
from exvad.video.open_file import OpenFile
from exvad.video.sandbox import DecodingProcess
from tests.helpers.videos import write_video

SIZE = (640, 360)
STRIDE = 16
SHORT_SIDE = 256
CAMERA_SIZE = (1280, 720)
CAMERA_SNIPPETS = 64
CAMERA_FPS = 25
PIXELS_PER_FRAME = 3  # how far its texture moves
ROUNDS = 5
REAPING_SECONDS = 0.5  # until the CPU time of a request is known


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--steps", action="store_true")
    options = parser.parse_args()
    quick = options.quick
    if options.steps:
        with tempfile.TemporaryDirectory() as folder:
            camera = write_camera_video(Path(folder) / "camera.mp4", CAMERA_SNIPPETS * STRIDE)
            emit("sandbox_steps", measure_steps(camera, 3 if quick else 4 * ROUNDS), {})
        return
    snippets, rounds = (64, 3) if quick else (256, ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder) / "video.mp4", snippets * STRIDE, size=SIZE)
        metrics = measure(video, snippets, rounds)
        camera = write_camera_video(Path(folder) / "camera.mp4", CAMERA_SNIPPETS * STRIDE)
        of_camera = measure(camera, CAMERA_SNIPPETS, rounds)
    for name in ("plain_frames_per_cpu_second", "sandbox_to_plain"):
        metrics[f"camera_{name}"] = of_camera[name]
    targets = {"sandbox_to_plain": (">=", 0.97), "camera_sandbox_to_plain": (">=", 0.97)}
    emit("sandbox", metrics, targets)


def write_camera_video(path: Path, num_frames: int) -> Path:
    """Write a video in which a texture with the noise of a sensor moves; return its path.

    Args:
        path: the file.
        num_frames: its frames.
    """
    generator = np.random.default_rng(0)
    width, height = CAMERA_SIZE
    coarse = generator.integers(40, 216, (height // 8, width // 8, 3), np.uint8)
    texture = coarse.repeat(8, 0).repeat(8, 1).astype(np.int16)
    noise = generator.normal(0, 4, texture.shape).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=CAMERA_FPS, options={"preset": "veryfast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = CAMERA_SIZE
        stream.pix_fmt = "yuv420p"
        for index in range(num_frames):
            pixels = np.roll(texture, index * PIXELS_PER_FRAME, 1) + np.roll(noise, 7 * index, 0)
            frame = av.VideoFrame.from_ndarray(pixels.clip(0, 255).astype(np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def measure(video: Path, snippets: int, rounds: int) -> dict[str, float]:
    """Return the frames of the file per second without and with the sandbox, and other times.

    Args:
        video: the file.
        snippets: its snippets, one chunk.
        rounds: how often each is measured.
    """
    (chunk,) = plan_chunks("video", video, STRIDE, snippets)[1]
    began = time.monotonic()
    with DecodingProcess() as process:
        process.confinement()
        start = time.monotonic() - began
        (starter,) = psutil.Process(psutil.Process().children()[0].pid).children()
        plain, confined, plain_frame, confined_frame = in_turns(
            rounds,
            starter,
            lambda: decode_chunk(chunk, SHORT_SIDE),
            lambda: process.decode(chunk, SHORT_SIDE),
            lambda: read_frames(video, [0.0], SHORT_SIDE),
            lambda: process.read_frames(video, [0.0], SHORT_SIDE),
        )
    frames = snippets * STRIDE
    return {
        "plain_frames_per_cpu_second": frames / plain,
        "sandbox_frames_per_cpu_second": frames / confined,
        "sandbox_to_plain": plain / confined,
        "start_seconds": start,
        "extra_cpu_ms_per_request": 1000 * (confined_frame - plain_frame),
    }


def measure_steps(video: Path, rounds: int) -> dict[str, float]:
    """Return the median CPU milliseconds of decoding a chunk in several ways, and of a fork.

    Args:
        video: the file, of one chunk.
        rounds: how often each is measured.
    """
    (chunk,) = plan_chunks("video", video, STRIDE, CAMERA_SNIPPETS)[1]
    data = video.read_bytes()

    def read_through() -> OpenFile:
        return OpenFile("video", len(data), lambda start, size: data[start : start + size])

    works: dict[str, Callable[[], object]] = {
        "plain": lambda: decode_chunk(chunk, SHORT_SIDE),
        "read_through": lambda: decode_chunk(chunk, SHORT_SIDE, file=read_through()),
        "and_shared_memory": lambda: decode_chunk(
            chunk, SHORT_SIDE, file=read_through(), allocate=shared_memory
        ),
    }
    works |= {f"fork_{name}": in_fork(work) for name, work in list(works.items())}
    works["fork_of_nothing"] = in_fork(lambda: None)
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            before = own_seconds()
            work()
            seconds[name].append(own_seconds() - before)
    return {f"{name}_cpu_ms": 1000 * statistics.median(times) for name, times in seconds.items()}


def shared_memory(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return an array in memory that processes can share."""
    return np.frombuffer(mmap.mmap(-1, math.prod(shape)), np.uint8).reshape(shape)


def in_fork(work: Callable[[], object]) -> Callable[[], object]:
    """Return work that is done in a fork of this process."""

    def forked() -> None:
        child = os.fork()
        if not child:
            work()
            os._exit(0)
        os.waitpid(child, 0)

    return forked


def own_seconds() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def in_turns(rounds: int, starter: psutil.Process, *works: Callable[[], object]) -> list[float]:
    """Return the median CPU seconds of each of several works, done in turns.

    Args:
        rounds: how often each is done.
        starter: the process that waits for those of the requests.
        works: the works.
    """
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, measured in zip(works, seconds, strict=True):
            before = cpu_seconds(starter)
            work()
            time.sleep(REAPING_SECONDS)
            measured.append(cpu_seconds(starter) - before)
    return [statistics.median(measured) for measured in seconds]


def cpu_seconds(starter: psutil.Process) -> float:
    """Return the CPU time of this process, of the starter, and of the requests that have ended."""
    times = starter.cpu_times()
    children = times.children_user + times.children_system
    return time.process_time() + times.user + times.system + float(children)


if __name__ == "__main__":
    main()
