"""What a camera costs: 1920×1080 at 25 frames per second by RTSP, decoded and scored.

Seconds of processors per second of the stream, so that other work on the machine matters little. A
camera in a process of its own sends H.264 of 4 Mbit/s. Receiving and decoding are measured as
the server does them, in their confined processes, from the first frame that is read to the last;
one frame in sixteen is read. Scoring is detection without training with the shipped memory, once
with the demo's tiny CLIP and once with ViT-B/16 (random weights, which cost as much as trained
ones), a frame at a time, as it arrives, in one thread. What 16
cameras need is on paper: 16 times that of one.

    python -m bench.cameras [--quick]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import av
import numpy as np
import psutil
import torch

from bench._harness import emit
from bench.export import random_clip
from exvad.checkpoints.zero_shot import zero_shot_config
from exvad.detector.detector import Detector
from exvad.live.alerts import AlertRule
from exvad.live.live_detector import LiveDetector
from exvad.live.settings import LiveSettings
from exvad.serving.sources.stream_process import StreamProcess
from exvad.serving.sources.stream_reader import SourceSpec
from exvad.video.frame_buffer import LiveFrame, Notice
from tests.helpers.rtsp import rtsp_camera

FPS, STRIDE, SECONDS = 25, 16, 24
WIDTH, HEIGHT = 1920, 1080
BIT_RATE = 4_000_000
CAMERAS = 16
WARM_UP = 3  # frames that are scored before the measurement
GOALS = {"tiny_clip_cores": ("<=", 1.0), "vit_b16_cores": ("<=", 2.0)}


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a short stream")
    seconds = SECONDS // 3 if parser.parse_args().quick else SECONDS
    torch.set_num_threads(1)  # threads that wait for each other count as computing
    metrics: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = name
        decoding, frames = decode(write_broadcast(folder / "camera.ts", seconds))
        metrics |= {"decoding_cores": decoding, "frames": len(frames)}
        for key, clip in (("tiny_clip", "package:clip"), ("vit_b16", random_clip(folder))):
            scoring, latency = score(clip, frames)
            metrics |= {
                f"{key}_scoring_cores": scoring,
                f"{key}_seconds_per_frame": latency,
                f"{key}_cores": decoding + scoring,
                f"{key}_cores_of_{CAMERAS}_cameras": CAMERAS * (decoding + scoring),
            }
    emit("cameras", metrics, GOALS)


def write_broadcast(path: Path, seconds: int) -> bytes:
    """Return what a camera sends: seconds of a moving, slightly noisy picture, MPEG-TS."""
    rng = np.random.default_rng(0)
    picture_HW = np.add.outer(np.arange(HEIGHT) // 2, np.arange(WIDTH) // 3) % 200
    picture_HWC = np.repeat(picture_HW.astype(np.uint8)[:, :, None], 3, axis=2)
    noise_4HWC = rng.integers(0, 4, (4, HEIGHT, WIDTH, 3), np.uint8)
    with av.open(str(path), "w", format="mpegts") as container:
        options = {"preset": "veryfast", "tune": "zerolatency"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate, stream.gop_size = BIT_RATE, 2 * FPS
        for index in range(FPS * seconds):
            image_HWC = np.roll(picture_HWC, 3 * index, axis=1) + noise_4HWC[index % 4]
            frame = av.VideoFrame.from_ndarray(image_HWC, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def decode(broadcast: bytes) -> tuple[float, list[LiveFrame]]:
    """Watch a camera once; return the cores that it takes, and the frames that were read."""
    ours, theirs = multiprocessing.Pipe()
    camera = multiprocessing.get_context("spawn").Process(
        target=run_camera, args=(broadcast, theirs)
    )
    camera.start()
    spec = SourceSpec(
        name="camera",
        url=ours.recv(),
        path=None,
        stride=STRIDE,
        short_side=zero_shot_config().data.short_side,
        networks=["127.0.0.0/8"],
        idle_seconds=5,
        max_bytes=4 * 2**30,
        start_time=0.0,
        max_retries=0,
    )
    stopped, frames, marks = threading.Event(), list[LiveFrame](), list[tuple[float, float]]()
    for item in StreamProcess(spec).follow(stopped):
        if isinstance(item, Notice):
            if frames:
                stopped.set()
            continue
        frames += item
        marks.append((frames[-1].time, child_seconds(without=camera.pid)))
    ours.send("end")
    camera.join()
    (begin, used_before), (end, used) = marks[0], marks[-1]
    return (used - used_before) / (end - begin), frames


def run_camera(broadcast: bytes, connection: Connection) -> None:
    """Run a camera until a message comes; send its URL first."""
    with rtsp_camera(broadcast) as camera:
        connection.send(camera.url)
        connection.recv()


def child_seconds(without: int | None) -> float:
    """Return the seconds that the processes below this one have computed, but for one."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        if process.pid != without:
            times = process.cpu_times()
            total += times.user + times.system
    return total


def score(clip: str, frames: Sequence[LiveFrame]) -> tuple[float, float]:
    """Score frames one by one; return the cores that it takes, and seconds per frame."""
    detector = Detector(zero_shot_config({"clip.model": clip}))
    settings = LiveSettings(explain=False)
    live = LiveDetector(detector.checkpoint, detector.models, AlertRule(on=0.5, off=0.35), settings)
    for frame in frames[:WARM_UP]:
        live.process([frame])
    measured = frames[WARM_UP:]
    begin, used = time.perf_counter(), time.process_time()
    for frame in measured:
        live.process([frame])
    used, elapsed = time.process_time() - used, time.perf_counter() - begin
    return used / (len(measured) * STRIDE / FPS), elapsed / len(measured)


if __name__ == "__main__":
    main()
