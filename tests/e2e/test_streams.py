"""Live streams over HTTP: real files that grow, real processes that read them, real models."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from exvad.client import AsyncClient, Client, ServerError
from exvad.detector.detector import Detector
from exvad.serving.workers.webhook_sender import HEADER
from tests.helpers.checkpoints import save
from tests.helpers.live_server import SECRET, SNIPPETS, Live, broadcast
from tests.helpers.rtsp import rtsp_camera

ALWAYS: dict[str, Any] = {"on": 0, "off": 0, "least_seconds": 0, "cool_down_seconds": 0}


@pytest.fixture(scope="module")
def sent() -> bytes:
    return broadcast()


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector(save(tmp_path_factory.mktemp("streams") / "checkpoint"))


@pytest.fixture
def live(tmp_path: Path, detector: Detector) -> Iterator[Live]:
    live = Live(tmp_path, detector)
    yield live
    live.end()
    assert not live.watcher.failed


def ended(found: dict[str, Any]) -> bool:
    return bool(found["state"] == "ended")


def test_a_growing_file_is_scored_while_it_grows_and_its_alert_is_explained(
    live: Live, sent: bytes
) -> None:
    path = live.root / "door.ts"
    path.write_bytes(sent[: len(sent) // 2])
    begun = live.watch(path="door.ts", **ALWAYS)
    assert begun["state"] == "waiting"
    assert begun["name"] == "door.ts"
    early = live.until(begun["id"], lambda found: bool(found["alerts"]))
    assert early["state"] == "watching"
    assert early["seconds"] < 0.7 * 1.6 * SNIPPETS
    assert early["delay"] < 20
    with path.open("ab") as file:
        file.write(sent[len(sent) // 2 :])
    done = live.until(begun["id"], ended)
    assert done["seconds"] == pytest.approx(1.6 * (SNIPPETS - 1), abs=0.01)
    assert done["threshold"] == 0
    assert done["classes"][0] == "Normal"
    (alert,) = done["alerts"]
    assert alert["number"] == 1
    assert alert["explanation"]["summary"]
    assert alert["captions"]
    assert abs(alert["began_at"] - begun["created"]) < 60
    picture = live.http.get(f"/v1/streams/{begun['id']}/alerts/1/frame")
    assert picture.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(picture.content)).size[0] >= 100
    assert live.http.get(f"/v1/streams/{begun['id']}/alerts/2/frame").status_code == 404
    place = f"/v1/streams/{begun['id']}/alerts/1"
    assert live.http.patch(place, json={"triage": "false alarm"}).json()["triage"] == "false alarm"
    assert live.get(begun["id"])["alerts"][0]["triage"] == "false alarm"
    assert live.http.get("/v1/streams").json()["total"] == 1
    assert "exvad_alerts_total 1.0" in live.http.get("/metrics").text


def told(live: Live, number: str, after: str = "") -> list[tuple[str, str, dict[str, Any]]]:
    """Follow a stream to its end: id, kind and data of each event."""
    headers = {"Last-Event-ID": after} if after else {}
    events, event = [], dict[str, str]()
    with live.http.stream("GET", f"/v1/streams/{number}/events", headers=headers) as response:
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if not line and "event" in event:
                events.append((event.get("id", ""), event["event"], json.loads(event["data"])))
                event = {}
            elif name:
                event[name] = value
    return events


def test_who_follows_hears_of_everything_and_can_go_on_after_a_break(
    live: Live, sent: bytes
) -> None:
    (live.root / "door.ts").write_bytes(sent)
    number = live.watch(path="door.ts", name="front door", **ALWAYS)["id"]
    events = told(live, number)
    kinds = [kind for _, kind, _ in events]
    assert kinds[0] == "notice"
    assert kinds[-1] == "ended"
    times = [time for _, kind, data in events if kind == "scores" for time in data["times"]]
    assert times == sorted(times)
    assert len(times) == len(set(times)) == SNIPPETS
    states = [data["state"] for _, kind, data in events if kind == "alert"]
    assert states[0] == "began"
    assert states[-1] == "ended"
    assert any(data["explanation"] for _, kind, data in events if kind == "alert")
    half = len(events) // 2
    assert told(live, number, events[half - 1][0]) == events[half:]
    assert live.http.get("/v1/streams/none/events").status_code == 404


class Camera(BaseHTTPRequestHandler):
    """Sends a broadcast to whoever asks, and keeps what is posted to it."""

    def do_GET(self) -> None:
        camera: Any = self.server
        camera.asked += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(camera.sent)

    def do_POST(self) -> None:
        camera: Any = self.server
        body = self.rfile.read(int(self.headers["content-length"]))
        camera.posted.append((self.headers[HEADER], body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def camera(sent: bytes) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.sent, server.asked, server.posted = sent, 0, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_camera_that_breaks_off_is_opened_again_and_its_alerts_are_posted(
    live: Live, camera: Any
) -> None:
    url = f"http://127.0.0.1:{camera.server_port}"
    found = live.watch(url=f"{url}/cam?token=hidden", webhook=f"{url}/hook", **ALWAYS)
    assert "hidden" not in found["name"]
    lost = live.until(found["id"], lambda found: "tried again" in (found["notice"] or ""))
    assert "hidden" not in json.dumps(lost)
    live.until(found["id"], lambda _: camera.asked > 1 and bool(camera.posted))
    header, body = camera.posted[0]
    seconds, digest = (part.partition("=")[2] for part in header.split(","))
    signed = hmac.new(SECRET, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    assert digest == signed
    posted = json.loads(body)
    assert posted["stream"] == found["id"]
    assert posted["alert"]["state"] == "began"
    assert live.http.delete(f"/v1/streams/{found['id']}").status_code == 204
    assert live.http.get(f"/v1/streams/{found['id']}").status_code == 404
    until = time.monotonic() + 10
    while readers():
        assert time.monotonic() < until, "a deleted stream is still being read"
        time.sleep(0.1)


def test_a_camera_that_speaks_rtsp_is_watched_and_its_password_stays_secret(
    live: Live, sent: bytes
) -> None:
    with rtsp_camera(sent, "admin:s3cret") as camera:
        found = live.watch(url=camera.url, explain=False, **ALWAYS)
        seen = live.until(found["id"], lambda found: (found["seconds"] or 0) > 8)
        live.until(found["id"], lambda _: camera.played > 1)
        again = live.until(found["id"], lambda found: found["seconds"] > seen["seconds"])
        shown = json.dumps([found, seen, again, live.http.get("/v1/streams").json()])
        (reader,) = readers()
        assert "s3cret" not in shown + " ".join(reader.cmdline())
        assert "127.0.0.1 door" in found["name"]


def test_the_clients_watch_follow_and_stop(live: Live, sent: bytes) -> None:
    (live.root / "door.ts").write_bytes(sent)
    with Client(live.server.url) as client:
        begun = client.watch(path="door.ts", name="front door", explain=False, **ALWAYS)
        told = list(client.follow_stream(begun.id))
        assert {"notice", "scores", "alert"} < {each.kind for each in told}
        assert told[-1].last
        found = client.stream(begun.id)
        assert found.ended
        assert [alert.number for alert in found.alerts] == [1]
        client.stop(begun.id)
        with pytest.raises(ServerError, match="no stream"):
            client.stream(begun.id)
        with pytest.raises(ServerError, match="exactly one"):
            client.watch()

    async def again() -> list[str]:
        async with AsyncClient(live.server.url) as client:
            begun = await client.watch(path="door.ts", explain=False, **ALWAYS)
            kinds = [told.kind async for told in client.follow_stream(begun.id)]
            assert (await client.stream(begun.id)).ended
            await client.stop(begun.id)
            return kinds

    assert asyncio.run(again())[-1] == "ended"


def readers() -> list[psutil.Process]:
    """The processes that read streams for this one."""
    children = psutil.Process().children(recursive=True)
    alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in alive if "exvad.serving.sources.stream_child" in child.cmdline()]


def test_a_reader_that_dies_is_replaced_and_time_goes_on(live: Live, camera: Any) -> None:
    url = f"http://127.0.0.1:{camera.server_port}"
    number = live.watch(url=url, explain=False, **ALWAYS)["id"]
    before = live.until(number, lambda found: found["seconds"] is not None)
    (reader,) = readers()
    os.kill(reader.pid, signal.SIGKILL)
    live.until(number, lambda found: "died of it" in (found["notice"] or ""))
    after = live.until(number, lambda found: found["seconds"] > before["seconds"])
    assert after["state"] in ("watching", "lost")


def test_what_cannot_be_watched_is_refused_in_a_sentence(live: Live, tmp_path: Path) -> None:
    assert live.refused(path="../secret")[0] == 422
    assert "allowed root" in live.refused(path="none.ts")[1]
    assert "not an address" in live.refused(url="http://10.0.0.1/cam")[1]
    assert "not an address" in live.refused(url="rtsp://user:pass@192.168.0.9/cam")[1]
    assert "only rtsp://" in live.refused(url="file:///etc/passwd")[1]
    assert "exactly one" in live.refused()[1]
    assert "off is larger" in live.refused(path="x", on=0.2, off=0.5)[1]
    (live.root / "x.ts").write_bytes(b"no video")
    number = live.watch(path="x.ts", categories={"Normal": ["x"]})["id"]
    assert "does not know yet" in live.until(number, ended)["notice"]


def test_more_streams_than_allowed_are_refused(tmp_path: Path, detector: Detector) -> None:
    live = Live(tmp_path, detector, max_streams=0)
    try:
        (live.root / "x.ts").write_bytes(b"")
        assert live.refused(path="x.ts") == (429, "0 streams are watched already: stop one first")
    finally:
        live.end()


def test_another_model_takes_streams_up_at_once(
    live: Live, camera: Any, tmp_path: Path, detector: Detector
) -> None:
    number = live.watch(url=f"http://127.0.0.1:{camera.server_port}", explain=False)["id"]
    first = live.until(number, lambda found: found["seconds"] is not None)
    other = Detector(save(tmp_path / "other"), models=detector.models)
    live.watcher.use(other)
    asked = camera.asked
    after = live.until(number, lambda _: camera.asked > asked)
    assert after["created"] == first["created"]
    live.until(number, lambda found: found["seconds"] > first["seconds"])
