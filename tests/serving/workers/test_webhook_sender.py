"""Webhooks arrive signed, are sent again after a failure, and go to permitted addresses only."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.queue.webhooks import add_webhook
from exvad.serving.settings import ServerSettings
from exvad.serving.sources.fetch import Fetcher
from exvad.serving.workers.analysis_worker import AnalysisWorker
from exvad.serving.workers.webhook_sender import (
    MAX_ATTEMPTS,
    SIGNATURE_HEADER,
    WebhookSender,
    read_secret,
)
from tests.helpers.api import open_client
from tests.helpers.fake_detector import FakeDetector
from tests.helpers.videos import write_video
from tests.helpers.waiting import holds_within

SECRET = b"a secret of some length"


class Receiver(ThreadingHTTPServer):
    """Receives webhooks.

    Attributes:
        received: signature header and body of each webhook.
        statuses: status codes of the next responses; 204 after them.
        url: the address of webhooks.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), WebhookHandler)
        self.received: list[tuple[str, bytes]] = []
        self.statuses: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}/webhook"


class WebhookHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.headers[SIGNATURE_HEADER], body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


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


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exvad.serving.queue.webhooks.RETRY_SECONDS", 0)
    monkeypatch.setattr("exvad.serving.queue.webhooks.ATTEMPT_SECONDS", 0)


def submit(settings: ServerSettings, folder: Path, webhook: str) -> Any:
    clip = write_video(folder / "clip.mp4", 32, size=(64, 48))
    with open_client(settings) as client:
        return client.post("/v1/analyses", params={"webhook": webhook}, content=clip.read_bytes())


def work(settings: ServerSettings) -> AnalysisQueue:
    queue = AnalysisQueue(settings.database_path)
    assert AnalysisWorker(FakeDetector(), queue, settings).work()  # type: ignore[arg-type]
    return queue


def test_send_one_posts_the_result_with_a_signature(
    settings: ServerSettings, tmp_path: Path, receiver: Receiver
) -> None:
    analysis_id = submit(settings, tmp_path, receiver.url).json()["id"]
    assert settings.webhook_secret is not None
    sender = WebhookSender(work(settings), Fetcher(settings), read_secret(settings.webhook_secret))
    assert sender.send_one()
    assert not sender.send_one()
    ((header, body),) = receiver.received
    status = json.loads(body)
    assert status["id"] == analysis_id
    assert status["result"]["label"] == "Arson"
    seconds, digest = (part.partition("=")[2] for part in header.split(","))
    expected = hmac.new(SECRET, seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(digest, expected)


@pytest.mark.usefixtures("no_pauses")
def test_send_one_sends_a_failed_webhook_again_also_from_another_process(
    settings: ServerSettings, tmp_path: Path, receiver: Receiver
) -> None:
    receiver.statuses = [500, 302]
    submit(settings, tmp_path, receiver.url)
    work(settings)
    for _ in range(3):
        queue = AnalysisQueue(settings.database_path)
        assert WebhookSender(queue, Fetcher(settings), SECRET).send_one()
    assert not WebhookSender(queue, Fetcher(settings), SECRET).send_one()
    assert len(receiver.received) == 3


@pytest.mark.usefixtures("no_pauses")
def test_send_one_gives_up_an_unreachable_receiver(
    settings: ServerSettings, tmp_path: Path
) -> None:
    submit(settings, tmp_path, "http://127.0.0.1:9/")
    sender = WebhookSender(work(settings), Fetcher(settings), SECRET)
    assert sum(sender.send_one() for _ in range(MAX_ATTEMPTS + 5)) == MAX_ATTEMPTS


def test_send_one_drops_the_webhook_of_a_deleted_analysis(
    settings: ServerSettings, tmp_path: Path, receiver: Receiver
) -> None:
    analysis_id = submit(settings, tmp_path, receiver.url).json()["id"]
    queue = work(settings)
    queue.delete(analysis_id)
    sender = WebhookSender(queue, Fetcher(settings), SECRET)
    assert sender.send_one()
    assert not sender.send_one()
    assert receiver.received == []


def test_a_webhook_needs_a_secret_and_a_public_address(
    settings: ServerSettings, tmp_path: Path
) -> None:
    refused = submit(settings, tmp_path, "http://10.0.0.1/")
    assert refused.status_code == 422
    assert "public internet" in refused.json()["detail"]
    without_secret = settings.model_copy(update={"webhook_secret": None})
    refused = submit(without_secret, tmp_path, "http://127.0.0.1/")
    assert "no secret" in refused.json()["detail"]


def test_read_secret_refuses_a_short_or_missing_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("short")
    with pytest.raises(ValueError, match="fewer than 16"):
        read_secret(tmp_path / "secret")
    with pytest.raises(ValueError, match="none: No such file"):
        read_secret(tmp_path / "none")


def test_run_sends_one_at_a_time_to_a_slow_receiver_and_meanwhile_to_others(
    settings: ServerSettings, receiver: Receiver
) -> None:
    queue = AnalysisQueue(settings.database_path)
    with socket.create_server(("127.0.0.1", 0)) as slow_receiver:  # accepts and never answers
        slow_url = f"http://127.0.0.1:{slow_receiver.getsockname()[1]}/"
        with queue.write() as connection:
            for _ in range(12):
                add_webhook(connection, slow_url, body="{}")
            for number in range(3):
                add_webhook(connection, receiver.url, body=f"{number}")
        stopped = threading.Event()
        sender = WebhookSender(queue, Fetcher(settings), SECRET)
        thread = threading.Thread(target=sender.run, args=(stopped,))
        thread.start()
        assert holds_within(8, lambda: len(receiver.received) == 3)
        stopped.set()
        slow_receiver.settimeout(1)
        request, _ = slow_receiver.accept()
        with request, pytest.raises(TimeoutError):
            slow_receiver.accept()
    thread.join(30)
    assert [body for _, body in receiver.received] == [b"0", b"1", b"2"]
