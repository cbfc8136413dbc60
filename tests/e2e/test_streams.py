"""Live streams over HTTP: files that grow, processes that read them, and the shipped models."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from exvad.client import AsyncClient, Client, ServerError
from exvad.detector.detector import Detector
from exvad.serving.workers.webhook_sender import SIGNATURE_HEADER
from tests.helpers.checkpoints import save_untrained_checkpoint
from tests.helpers.live_server import NUM_SNIPPETS, SECRET, LiveServer, encode_broadcast
from tests.helpers.recordings import show
from tests.helpers.rtsp import rtsp_camera
from tests.helpers.waiting import holds_within

# An alert that begins with the first score and lasts as long as the stream.
ALWAYS: dict[str, Any] = {"on": 0, "off": 0, "least_seconds": 0, "cool_down_seconds": 0}
SNIPPET_SECONDS = 1.6


@pytest.fixture(scope="module")
def broadcast() -> bytes:
    return encode_broadcast()


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector(save_untrained_checkpoint(tmp_path_factory.mktemp("streams") / "checkpoint"))


@pytest.fixture
def live(tmp_path: Path, detector: Detector) -> Iterator[LiveServer]:
    with LiveServer(tmp_path, detector) as server:
        yield server
    assert not server.watcher.failed


class CameraHandler(BaseHTTPRequestHandler):
    """Sends the broadcast to every client, and stores the webhooks that it receives."""

    def do_GET(self) -> None:
        camera: Any = self.server
        camera.num_requests += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(camera.broadcast)

    def do_POST(self) -> None:
        camera: Any = self.server
        body = self.rfile.read(int(self.headers["content-length"]))
        camera.webhooks.append((self.headers[SIGNATURE_HEADER], body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def camera(broadcast: bytes) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), CameraHandler)
    server.broadcast, server.num_requests, server.webhooks = broadcast, 0, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def has_ended(status: dict[str, Any]) -> bool:
    return bool(status["state"] == "ended")


def follow_to_the_end(
    live: LiveServer, stream_id: str, last_event_id: str = ""
) -> list[tuple[str, str, dict[str, Any]]]:
    """Follow a stream to its end; return id, kind and data of each event."""
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    path = f"/v1/streams/{stream_id}/events"
    events, event = [], dict[str, str]()
    with live.client.stream("GET", path, headers=headers) as response:
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if not line and "event" in event:
                events.append((event.get("id", ""), event["event"], json.loads(event["data"])))
                event = {}
            elif name:
                event[name] = value
    return events


def stream_children() -> list[psutil.Process]:
    """Return the child processes that read streams; each forks one that decodes."""
    children = psutil.Process().children(recursive=True)
    alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    found = [child for child in alive if "exvad.serving.sources.stream_child" in child.cmdline()]
    return [child for child in found if child.ppid() not in {other.pid for other in found}]


def test_a_growing_file_is_scored_while_it_grows_and_its_alert_is_explained(
    live: LiveServer, broadcast: bytes
) -> None:
    path = live.root / "door.ts"
    path.write_bytes(broadcast[: len(broadcast) // 2])
    submitted = live.watch(path="door.ts", keep_hours=1, **ALWAYS)
    stream_id = submitted["id"]
    assert submitted["state"] == "waiting"
    assert submitted["name"] == "door.ts"
    early = live.wait_for_stream(stream_id, lambda status: bool(status["alerts"]))
    assert early["state"] == "watching"
    assert early["seconds"] < 0.7 * SNIPPET_SECONDS * NUM_SNIPPETS
    assert early["delay"] < 20
    with path.open("ab") as file:
        file.write(broadcast[len(broadcast) // 2 :])
    ended = live.wait_for_stream(stream_id, has_ended)
    assert ended["seconds"] == pytest.approx(SNIPPET_SECONDS * (NUM_SNIPPETS - 1), abs=0.01)
    assert ended["threshold"] == 0
    assert ended["classes"][0] == "Normal"
    (alert,) = ended["alerts"]
    assert alert["number"] == 1
    assert alert["explanation"]["summary"]
    assert alert["captions"]
    assert abs(alert["began_at"] - submitted["created"]) < 60
    alerts = f"/v1/streams/{stream_id}/alerts"
    frame = live.client.get(f"{alerts}/1/frame")
    assert frame.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(frame.content)).size[0] >= 100
    assert live.client.get(f"{alerts}/2/frame").status_code == 404
    clip = live.client.get(f"{alerts}/1/clip")
    times = [time for _, time in show(clip.content)]
    assert times[0] == 0
    assert times[-1] > alert["end"] - alert["start"]
    triaged = live.client.patch(f"{alerts}/1", json={"triage": "false alarm"}).json()
    assert triaged["triage"] == "false alarm"
    assert live.get_stream(stream_id)["alerts"][0]["triage"] == "false alarm"
    assert live.client.get("/v1/streams").json()["total"] == 1
    assert "exvad_alerts_total 1.0" in live.client.get("/metrics").text


def test_followers_get_every_event_also_after_a_lost_connection(
    live: LiveServer, broadcast: bytes
) -> None:
    (live.root / "door.ts").write_bytes(broadcast)
    stream_id = live.watch(path="door.ts", name="front door", **ALWAYS)["id"]
    events = follow_to_the_end(live, stream_id)
    kinds = [kind for _, kind, _ in events]
    assert kinds[0] == "notice"
    assert kinds[-1] == "ended"
    times = [time for _, kind, data in events if kind == "scores" for time in data["times"]]
    assert times == sorted(times)
    assert len(times) == len(set(times)) == NUM_SNIPPETS
    states = [data["state"] for _, kind, data in events if kind == "alert"]
    assert states[0] == "began"
    assert set(states[states.index("ended") :]) <= {"ended", "explained", "placed"}
    assert any(data["explanation"] for _, kind, data in events if kind == "alert")
    half = len(events) // 2
    assert follow_to_the_end(live, stream_id, events[half - 1][0]) == events[half:]
    assert live.client.get("/v1/streams/none/events").status_code == 404


def test_a_camera_that_disconnects_is_opened_again_and_its_alerts_are_posted(
    live: LiveServer, camera: Any
) -> None:
    submitted = live.watch(
        url=f"{camera.url}/cam?token=hidden", webhook=f"{camera.url}/webhook", **ALWAYS
    )
    stream_id = submitted["id"]
    assert "hidden" not in submitted["name"]
    lost = live.wait_for_stream(
        stream_id, lambda status: "trying again" in (status["notice"] or "")
    )
    assert "hidden" not in json.dumps(lost)
    live.wait_for_stream(stream_id, lambda _: camera.num_requests > 1 and bool(camera.webhooks))
    header, body = camera.webhooks[0]
    seconds, digest = (part.partition("=")[2] for part in header.split(","))
    expected = hmac.new(SECRET, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    assert digest == expected
    webhook = json.loads(body)
    assert webhook["stream"] == stream_id
    assert webhook["alert"]["state"] == "began"
    assert live.client.delete(f"/v1/streams/{stream_id}").status_code == 204
    assert live.client.get(f"/v1/streams/{stream_id}").status_code == 404
    assert holds_within(10, lambda: not stream_children()), "a deleted stream is still being read"


def test_an_rtsp_camera_is_watched_and_its_password_stays_secret(
    live: LiveServer, broadcast: bytes
) -> None:
    with rtsp_camera(broadcast, "admin:s3cret") as camera:
        submitted = live.watch(url=camera.url, explain=False, **ALWAYS)
        stream_id = submitted["id"]
        first = live.wait_for_stream(stream_id, lambda status: (status["seconds"] or 0) > 8)
        live.wait_for_stream(stream_id, lambda _: camera.num_plays > 1)
        second = live.wait_for_stream(
            stream_id, lambda status: status["seconds"] > first["seconds"]
        )
        streams = live.client.get("/v1/streams").json()
        (child,) = stream_children()
        visible = json.dumps([submitted, first, second, streams]) + " ".join(child.cmdline())
        assert "s3cret" not in visible
        assert "127.0.0.1 door" in submitted["name"]


def test_both_clients_watch_follow_and_delete_streams(live: LiveServer, broadcast: bytes) -> None:
    (live.root / "door.ts").write_bytes(broadcast)
    with Client(live.url) as client:
        submitted = client.watch(path="door.ts", name="front door", explain=False, **ALWAYS)
        events = list(client.follow_stream(submitted.id))
        assert {"notice", "scores", "alert"} < {event.kind for event in events}
        assert events[-1].is_last
        stream = client.get_stream(submitted.id)
        assert stream.ended
        assert [alert.number for alert in stream.alerts] == [1]
        client.delete_stream(submitted.id)
        with pytest.raises(ServerError, match="no stream"):
            client.get_stream(submitted.id)
        with pytest.raises(ServerError, match="exactly one"):
            client.watch()

    async def watch_again() -> list[str]:
        async with AsyncClient(live.url) as client:
            submitted = await client.watch(path="door.ts", explain=False, **ALWAYS)
            kinds = [event.kind async for event in client.follow_stream(submitted.id)]
            assert (await client.get_stream(submitted.id)).ended
            await client.delete_stream(submitted.id)
            return kinds

    assert asyncio.run(watch_again())[-1] == "ended"


def test_a_killed_child_process_is_restarted_and_times_go_on(live: LiveServer, camera: Any) -> None:
    stream_id = live.watch(url=camera.url, explain=False, **ALWAYS)["id"]
    before = live.wait_for_stream(stream_id, lambda status: status["seconds"] is not None)
    (child,) = stream_children()
    os.kill(child.pid, signal.SIGKILL)
    live.wait_for_stream(
        stream_id, lambda status: "crashed; it is restarted" in (status["notice"] or "")
    )
    after = live.wait_for_stream(stream_id, lambda status: status["seconds"] > before["seconds"])
    assert after["state"] in ("watching", "lost")


def test_a_stream_that_cannot_be_watched_is_refused_with_the_reason(live: LiveServer) -> None:
    assert live.watch_error(path="../secret")[0] == 422
    assert "allowed root" in live.watch_error(path="none.ts")[1]
    assert "not an address" in live.watch_error(url="http://10.0.0.1/cam")[1]
    assert "not an address" in live.watch_error(url="rtsp://user:pass@192.168.0.9/cam")[1]
    assert "only rtsp://" in live.watch_error(url="file:///etc/passwd")[1]
    assert "exactly one" in live.watch_error()[1]
    assert "off is larger" in live.watch_error(path="x", on=0.2, off=0.5)[1]
    (live.root / "x.ts").write_bytes(b"no video")
    stream_id = live.watch(path="x.ts", categories={"Normal": ["x"]})["id"]
    notice = live.wait_for_stream(stream_id, has_ended)["notice"]
    assert "give a name that is no class yet" in notice


def test_more_streams_than_allowed_are_refused(tmp_path: Path, detector: Detector) -> None:
    with LiveServer(tmp_path, detector, max_streams=0) as live:
        (live.root / "x.ts").write_bytes(b"")
        refused = live.watch_error(path="x.ts")
    assert refused == (429, "0 streams are watched already: delete one first")


def test_another_detector_claims_streams_again_at_once(
    live: LiveServer, camera: Any, tmp_path: Path, detector: Detector
) -> None:
    stream_id = live.watch(url=camera.url, explain=False)["id"]
    before = live.wait_for_stream(stream_id, lambda status: status["seconds"] is not None)
    checkpoint = save_untrained_checkpoint(tmp_path / "other")
    live.watcher.set_detector(Detector(checkpoint, models=detector.models))
    num_requests = camera.num_requests
    after = live.wait_for_stream(stream_id, lambda _: camera.num_requests > num_requests)
    assert after["created"] == before["created"]
    live.wait_for_stream(stream_id, lambda status: status["seconds"] > before["seconds"])
