"""Webhooks arrive signed, are tried again, survive a restart, and go nowhere they must not."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from exvad.serving.api.application import create_api
from exvad.serving.queue.analyses import Queue
from exvad.serving.queue.webhooks import add_hook
from exvad.serving.settings import ServerSettings
from exvad.serving.sources.fetch import Fetcher
from exvad.serving.workers.analysis_worker import Worker
from exvad.serving.workers.webhook_sender import HEADER, MOST_ATTEMPTS, Sender, read_secret
from tests.helpers.served import MadeDetector
from tests.helpers.videos import write_video

SECRET = b"a secret of some length"


class Receiver(ThreadingHTTPServer):
    """Keeps what it is posted; answers with the given statuses, then 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Take)
        self.got: list[tuple[str, bytes]] = []
        self.answers: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}/hook"


class Take(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.headers[HEADER], body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    return ServerSettings.model_validate(
        {"spool": tmp_path / "spool", "webhook_secret": tmp_path / "secret",
         "url_networks": ["127.0.0.0/8"]}
    )  # fmt: skip


def submit(settings: ServerSettings, folder: Path, url: str) -> Any:
    clip = write_video(folder / "clip.mp4", 32, size=(64, 48))
    with TestClient(create_api(settings), base_url="http://127.0.0.1") as client:
        return client.post("/v1/analyses", params={"webhook": url}, content=clip.read_bytes())


def work(settings: ServerSettings) -> Queue:
    queue = Queue(settings.spool / "queue.sqlite")
    assert Worker(MadeDetector(), queue, settings).work()  # type: ignore[arg-type]
    return queue


def test_the_answer_is_posted_and_signed(
    settings: ServerSettings, tmp_path: Path, receiver: Receiver
) -> None:
    number = submit(settings, tmp_path, receiver.url).json()["id"]
    assert settings.webhook_secret is not None
    sender = Sender(work(settings), Fetcher(settings), read_secret(settings.webhook_secret))
    assert sender.send()
    assert not sender.send()
    ((header, body),) = receiver.got
    told = json.loads(body)
    assert told["id"] == number
    assert told["result"]["label"] == "Arson"
    seconds, digest = (part.partition("=")[2] for part in header.split(","))
    wanted = hmac.new(SECRET, seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(digest, wanted)


def test_a_receiver_that_fails_is_tried_again_also_by_another_process(
    settings: ServerSettings, tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.serving.queue.webhooks.HOOK_SECONDS", 0)
    monkeypatch.setattr("exvad.serving.queue.webhooks.SENDING_SECONDS", 0)
    receiver.answers = [500, 302]
    submit(settings, tmp_path, receiver.url)
    work(settings)
    for _ in range(3):
        again = Queue(settings.spool / "queue.sqlite")
        assert Sender(again, Fetcher(settings), SECRET).send()
    assert not Sender(again, Fetcher(settings), SECRET).send()
    assert len(receiver.got) == 3


def test_a_receiver_that_is_not_there_is_given_up_in_the_end(
    settings: ServerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.serving.queue.webhooks.HOOK_SECONDS", 0)
    monkeypatch.setattr("exvad.serving.queue.webhooks.SENDING_SECONDS", 0)
    submit(settings, tmp_path, "http://127.0.0.1:9/")
    sender = Sender(work(settings), Fetcher(settings), SECRET)
    assert sum(sender.send() for _ in range(MOST_ATTEMPTS + 5)) == MOST_ATTEMPTS


def test_a_webhook_needs_a_secret_and_a_public_address(
    settings: ServerSettings, tmp_path: Path
) -> None:
    refused = submit(settings, tmp_path, "http://10.0.0.1/")
    assert refused.status_code == 422
    assert "public internet" in refused.json()["detail"]
    plain = settings.model_copy(update={"webhook_secret": None})
    assert "no secret" in submit(plain, tmp_path, "http://127.0.0.1/").json()["detail"]
    (tmp_path / "secret").write_text("short")
    with pytest.raises(ValueError, match="fewer than 16"):
        read_secret(tmp_path / "secret")
    with pytest.raises(ValueError, match="none: No such file"):
        read_secret(tmp_path / "none")


def test_a_slow_receiver_holds_up_nobody_else_and_gets_one_at_a_time(
    settings: ServerSettings, tmp_path: Path, receiver: Receiver
) -> None:
    queue = Queue(settings.spool / "queue.sqlite")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes what comes and never answers
        slow = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with queue.write() as base:
            for _ in range(12):
                add_hook(base, slow, body="{}")
            for number in range(3):
                add_hook(base, receiver.url, body=f"{number}")
        stopped = threading.Event()
        sender = Sender(queue, Fetcher(settings), SECRET)
        thread = threading.Thread(target=sender.run, args=(stopped,))
        thread.start()
        until = time.monotonic() + 8
        while len(receiver.got) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        stopped.set()
        silent.settimeout(1)
        waiting, _ = silent.accept()
        with waiting, pytest.raises(TimeoutError):
            silent.accept()
    thread.join(30)
    assert [body for _, body in receiver.got] == [b"0", b"1", b"2"]
