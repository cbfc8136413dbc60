"""A server as users start it, with a checkpoint and clips, for the benchmarks of serving."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import av
import httpx2 as httpx
import torch

from exvad.checkpoints.checkpoint import Checkpoint, save_checkpoint
from exvad.client import Client
from exvad.config import load_config
from exvad.data.world import CLASSES, Scene
from exvad.encoders.loading import load_clip
from exvad.inference.calibration import Calibration
from exvad.inference.network import build_network
from exvad.laam.label_vectors import LabelVectors
from exvad.laam.phrases import LabelPhrases

ROOT = Path(__file__).resolve().parent.parent
STARTUP_SECONDS = 120
STOP_SECONDS = 60
CLIP_FPS = 10


class BenchServer:
    """A server in its own process and Ray session. Use it as a context manager.

    Args:
        folder: folder for uploads and the settings file.
        checkpoint: folder of the checkpoint.
        settings: settings that differ from the defaults.
    """

    def __init__(self, folder: Path, checkpoint: Path, **settings: Any) -> None:
        self.folder = folder
        self.settings = {"checkpoint": str(checkpoint), "spool": str(folder / "spool"), **settings}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def client(self, retries: int = 5) -> Client:
        """Return a client of the server."""
        return Client(self.url, retries=retries)

    def __enter__(self) -> Self:
        path = self.folder / "serve.json"
        path.write_text(json.dumps(self.settings))
        environment = {**os.environ, "RAY_TMPDIR": tempfile.mkdtemp(prefix="ray")}
        environment.pop("RAY_ADDRESS", None)
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "exvad.cli", "serve",
                "--port", str(self.port), "--settings", str(path),
            ],
            cwd=ROOT,
            env=environment,
            stdout=sys.stderr,
            start_new_session=True,
        )  # fmt: skip
        self._wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + STARTUP_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the server has ended"
            try:
                if httpx.get(f"{self.url}/readyz").is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.5)
        raise AssertionError(f"the server is not ready after {STARTUP_SECONDS} s")


def save_untrained(folder: Path) -> Path:
    """Save an untrained checkpoint with the size and the frozen models of the demo."""
    config = load_config("demo", [])
    phrases = {label: [f"{label} {number}" for number in range(4)] for label in CLASSES}
    labels = LabelPhrases(phrases=phrases, origin="bench")
    vectors = LabelVectors.encode(labels, load_clip(config))
    label_CD = torch.from_numpy(vectors.embeddings("augmented", 4))
    torch.manual_seed(0)
    network = build_network(config, label_CD.shape[1], len(CLASSES))
    save_checkpoint(folder, Checkpoint(network, label_CD, labels, config, Calibration(), {}, {}))
    return folder


def write_clip(path: Path, seconds: int) -> Path:
    """Write a video of the demo world, repeated until it has the given duration."""
    scene = Scene(4, "Robbery", 28, 30)
    frames = [scene.render(index) for index in range(scene.num_frames)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=CLIP_FPS, options={"preset": "ultrafast"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for index in range(seconds * CLIP_FPS):
            frame = av.VideoFrame.from_ndarray(frames[index % len(frames)], format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
