"""TODO"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import httpx2 as httpx

from exvad.data.world.scene import Scene
from exvad.detector.detector import Detector
from exvad.serving.queue.analyses import Queue
from exvad.serving.queue.streams import Streams
from exvad.serving.sources.fetch import Fetcher
from exvad.serving.workers.stream_watcher import Watcher
from exvad.serving.workers.webhook_sender import Sender
from tests.helpers.server import Server

SCENE = Scene(4, "Robbery", 11, 12)


SNIPPETS = -(-SCENE.num_frames // 16)


def broadcast(scene: Scene = SCENE) -> bytes:
    """A robbery as a camera sends it: MPEG-TS."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        options = {"g": "10", "tune": "zerolatency", "preset": "ultrafast"}
        video = container.add_stream("libx264", rate=10, options=options)
        height, width = scene.render(0).shape[:2]
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for number in range(scene.num_frames):
            frame = av.VideoFrame.from_ndarray(scene.render(number), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return buffer.getvalue()


class Live:
    """A server that watches streams, and an HTTP client of it."""

    def __init__(self, folder: Path, detector: Detector, **changed: Any) -> None:
        (folder / "root").mkdir()
        secret = folder / "secret"
        secret.write_bytes(SECRET)
        given = {
            "allowed_root": folder / "root",
            "url_networks": ["127.0.0.0/8"],
            "stream_idle_seconds": 1,
            "webhook_secret": secret,
            "lease_seconds": 3,
            **changed,
        }
        self.root, self.server = folder / "root", Server(folder, **given)
        settings = self.server.settings
        self.streams = Streams(settings.database_path, settings.lease_seconds)
        self.watcher = Watcher(detector, self.streams, settings)
        self.sender = Sender(Queue(settings.database_path), Fetcher(settings), SECRET)
        self.http = httpx.Client(base_url=self.server.url, timeout=30)
        self._start(self.watcher.run)
        self._start(self.sender.run)

    def _start(self, run: Callable[[threading.Event], None]) -> None:
        thread = threading.Thread(target=run, args=(self.server.stopped,), daemon=True)
        thread.start()
        self.server.threads.append(thread)

    def end(self) -> None:
        self.http.close()
        self.server.end()

    def watch(self, **wanted: Any) -> dict[str, Any]:
        response = self.http.post("/v1/streams", json=wanted)
        assert response.status_code == 201, response.text
        found: dict[str, Any] = response.json()
        return found

    def refused(self, **wanted: Any) -> tuple[int, str]:
        response = self.http.post("/v1/streams", json=wanted)
        assert response.headers["content-type"] == "application/problem+json"
        return response.status_code, response.json()["detail"]

    def get(self, number: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/v1/streams/{number}").json()
        return found

    def until(
        self, number: str, ready: Callable[[dict[str, Any]], bool], seconds: float = 40
    ) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while not ready(found := self.get(number)):
            assert time.monotonic() < end, found
            assert not self.watcher.failed
            time.sleep(0.1)
        return found


SECRET = b"a secret of the test's own"
