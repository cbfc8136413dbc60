"""A server that watches streams with a real detector, and what a camera sends to it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import httpx2 as httpx

from exvad.data.world import Scene
from exvad.detector.detector import Detector
from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.queue.streams import StreamQueue
from exvad.serving.sources.fetch import Fetcher
from exvad.serving.workers.stream_watcher import StreamWatcher
from exvad.serving.workers.webhook_sender import WebhookSender
from tests.helpers.server import Server
from tests.helpers.waiting import holds_within

SECRET = b"the webhook secret of the tests"
SCENE = Scene(4, "Robbery", 11, 12)
SCENE_FPS = 10
STRIDE = 16
NUM_SNIPPETS = -(-SCENE.num_frames // STRIDE)


def encode_broadcast(scene: Scene = SCENE) -> bytes:
    """Encode a scene as a camera sends it: MPEG-TS with frequent key frames."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        options = {"g": "10", "tune": "zerolatency", "preset": "ultrafast"}
        stream = container.add_stream("libx264", rate=SCENE_FPS, options=options)
        stream.height, stream.width = scene.render(0).shape[:2]
        stream.pix_fmt = "yuv420p"
        for index in range(scene.num_frames):
            frame = av.VideoFrame.from_ndarray(scene.render(index), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


class LiveServer(Server):
    """A server that watches streams and sends webhooks. Use it as a context manager, or stop it.

    Args:
        folder: folder for uploads, growing files and the database.
        detector: the detector that watches the streams.
        settings: settings that differ from those of the tests.

    Attributes:
        root: the folder of growing files.
        watcher: watches the streams.
        client: an HTTP client of the server.
    """

    def __init__(self, folder: Path, detector: Detector, **settings: Any) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        (folder / "secret").write_bytes(SECRET)
        defaults = {
            "allowed_root": self.root,
            "url_networks": ["127.0.0.0/8"],
            "stream_idle_seconds": 1,
            "webhook_secret": folder / "secret",
            "lease_seconds": 3,
        }
        super().__init__(folder, **{**defaults, **settings})
        path = self.settings.database_path
        streams = StreamQueue(path, self.settings.lease_seconds)
        self.watcher = StreamWatcher(detector, streams, self.settings)
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self.start_thread(self.watcher.run)
        self.start_thread(WebhookSender(AnalysisQueue(path), Fetcher(self.settings), SECRET).run)

    def stop(self) -> None:
        """Stop the server, its watcher and its sender."""
        self.client.close()
        super().stop()

    def watch(self, **request: Any) -> dict[str, Any]:
        """Submit a stream and return its status."""
        response = self.client.post("/v1/streams", json=request)
        assert response.status_code == 201, response.text
        status: dict[str, Any] = response.json()
        return status

    def watch_error(self, **request: Any) -> tuple[int, str]:
        """Submit a stream that is refused; return the status code and the reason."""
        response = self.client.post("/v1/streams", json=request)
        assert response.headers["content-type"] == "application/problem+json"
        return response.status_code, response.json()["detail"]

    def get_stream(self, stream_id: str) -> dict[str, Any]:
        """Return the status of a stream."""
        status: dict[str, Any] = self.client.get(f"/v1/streams/{stream_id}").json()
        return status

    def wait_for_stream(
        self,
        stream_id: str,
        condition: Callable[[dict[str, Any]], bool],
        seconds: float = 40,
    ) -> dict[str, Any]:
        """Wait until the status of a stream meets a condition, and return that status."""
        status: dict[str, Any] = {}

        def is_met() -> bool:
            nonlocal status
            assert not self.watcher.failed
            status = self.get_stream(stream_id)
            return condition(status)

        assert holds_within(seconds, is_met), status
        return status
