"""A server as users start it, a checkpoint and clips, for the benchmarks of serving."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent


class Served:
    """A server of its own process and Ray session; use it as a context manager.

    Args:
        folder: where it keeps things.
        checkpoint: what it serves.
        settings: of the server, besides.
    """

    def __init__(self, folder: Path, checkpoint: Path, **settings: Any) -> None:
        self.folder = folder
        self.settings = {"checkpoint": str(checkpoint), "spool": str(folder / "spool"), **settings}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def client(self, retries: int = 5) -> Any:
        """Return a client of it."""
        from exvad.client import Client

        return Client(self.url, retries=retries)

    def __enter__(self) -> Self:
        import json

        path = self.folder / "serve.json"
        path.write_text(json.dumps(self.settings))
        environment = {**os.environ, "RAY_TMPDIR": tempfile.mkdtemp(prefix="ray")}
        environment.pop("RAY_ADDRESS", None)
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "exvad.cli.main", "serve",
                "--port", str(self.port), "--settings", str(path),
            ],
            cwd=ROOT,
            env=environment,
            stdout=sys.stderr,
            start_new_session=True,
        )  # fmt: skip
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _wait(self) -> None:
        import httpx2 as httpx

        for _ in range(240):
            assert self.process.poll() is None, "the server has ended"
            try:
                if httpx.get(f"{self.url}/readyz").is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.5)
        raise AssertionError("the server does not become ready")


def save_untrained(folder: Path) -> Path:
    """Write a checkpoint of the demo's size and frozen models, untrained."""
    import torch

    from exvad.checkpoints.checkpoint import Checkpoint, save_checkpoint
    from exvad.config import load_config
    from exvad.data.world.activities import CLASSES
    from exvad.encoders.loading import load_clip
    from exvad.inference.calibration import Calibration
    from exvad.inference.network import build_network
    from exvad.laam.label_vectors import LabelVectors
    from exvad.laam.phrases import LabelPhrases

    config = load_config("demo", [])
    phrases = {label: [f"{label} {n}" for n in range(4)] for label in CLASSES}
    labels = LabelPhrases(phrases=phrases, origin="bench")
    label_CD = torch.from_numpy(
        LabelVectors.encode(labels, load_clip(config)).embeddings("augmented", 4)
    )
    torch.manual_seed(0)
    network = build_network(config, label_CD.shape[1], len(CLASSES))
    save_checkpoint(folder, Checkpoint(network, label_CD, labels, config, Calibration(), {}, {}))
    return folder


def world_clip(path: Path, seconds: int) -> Path:
    """Render a video of the demo world, repeated until it is so long."""
    import av

    from exvad.data.world.scene import Scene

    scene = Scene(4, "Robbery", 28, 30)
    pictures = [scene.render(number) for number in range(scene.num_frames)]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuv420p"
        for number in range(seconds * 10):
            picture = pictures[number % len(pictures)]
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())
    return path
