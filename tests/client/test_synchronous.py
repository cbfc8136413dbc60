"""The blocking client against a real HTTP server: results, errors, retries."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx2 as httpx
import pytest

from exvad.client import Client, ServerError, ServerEvent
from tests.helpers.server import Server
from tests.helpers.waiting import holds_within


def test_client_analyzes_a_video_and_follows_the_work(server: Server, clip: Path) -> None:
    server.start_worker()
    with Client(server.url) as client:
        categories = {"Queue": ["people stand in a line"]}
        analysis = client.analyze(clip, timeout=30, categories=categories, threshold=0.7)
        assert analysis.video == "a clip.mp4"
        assert analysis.untrained == ["Queue"]
        assert analysis.threshold == 0.7
        with pytest.raises(ServerError, match="threshold"):
            client.submit(clip, threshold=1.5)
        events = list(client.follow(client.submit(clip).id))
    assert [event.kind for event in events if event.kind != "progress"] == [
        "writing", "first_scores", "scores", "events", "explanation", "done",
    ]  # fmt: skip
    assert isinstance(events[-1], ServerEvent)
    assert events[-1].is_last


def test_client_raises_the_error_of_the_server(server: Server, tmp_path: Path) -> None:
    server.start_worker()
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    with Client(server.url) as client:
        with pytest.raises(ServerError, match=r"text\.mp4"):
            client.analyze(tmp_path / "text.mp4", timeout=30)
        with pytest.raises(ServerError, match="no video") as refused:
            client.submit(tmp_path / "empty.mp4")
        assert refused.value.status == 422
        with pytest.raises(ServerError, match="no analysis") as unknown:
            client.get("nothing")
        assert unknown.value.status == 404


@pytest.mark.usefixtures("no_retry_after")
def test_client_retries_while_the_queue_is_full(server: Server, clip: Path) -> None:
    with Client(server.url, retries=0) as client:
        for _ in range(2):
            client.submit(clip)
        with pytest.raises(ServerError) as full:
            client.submit(clip)
    assert full.value.status == 429
    threading.Timer(0.2, server.start_worker).start()
    with Client(server.url, retries=400) as client:
        assert client.analyze(clip, timeout=30).label == "Arson"


def test_client_retries_to_follow_while_too_many_clients_do(tmp_path: Path, clip: Path) -> None:
    with Server(tmp_path, max_followers=1) as server, Client(server.url) as client:
        analysis_id = client.submit(clip).id
        url = f"{server.url}/v1/analyses/{analysis_id}"
        with httpx.stream("GET", f"{url}/events") as first:
            assert first.status_code == 200
            # A request with `wait` is answered at once, and a second follower is refused.
            start = time.monotonic()
            assert client.get(analysis_id).state == "queued"
            waited = httpx.get(url, params={"wait": 30})
            assert waited.json()["state"] == "queued"
            assert time.monotonic() - start < 10
            refused = httpx.get(f"{url}/events")
            assert refused.status_code == 429
            assert refused.headers["retry-after"].isdigit()
            threading.Timer(0.5, server.start_worker).start()
            assert "event: done" in "".join(first.iter_text())
        kinds = [event.kind for event in client.follow(analysis_id)]
    assert kinds[-1] == "done"


def test_client_that_disconnects_while_waiting_makes_room_for_others(
    tmp_path: Path, clip: Path
) -> None:
    with Server(tmp_path, max_followers=2) as server, Client(server.url) as client:
        url = f"{server.url}/v1/analyses/{client.submit(clip).id}"
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                httpx.get(url, params={"wait": 500}, timeout=0.3)

        def can_follow() -> bool:
            assert httpx.get(url, params={"wait": 0.1}).is_success
            with httpx.stream("GET", f"{url}/events") as response:
                return response.status_code == 200

        assert holds_within(15, can_follow)


def test_client_names_a_server_that_does_not_respond(
    clip: Path, unused_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.client.protocol.FIRST_DELAY_SECONDS", 0.05)
    with Client(unused_url, retries=2) as client, pytest.raises(ConnectionError, match=unused_url):
        client.submit(clip)
    with Client(unused_url, retries=1) as client, pytest.raises(ConnectionError, match=unused_url):
        list(client.follow("any"))


def test_client_names_a_url_without_a_scheme() -> None:
    with pytest.raises(ValueError, match="begin the server's URL with http://"):
        Client("localhost:8000")


def test_client_names_the_video_of_an_analysis_that_takes_too_long(
    server: Server, clip: Path
) -> None:
    with Client(server.url) as client, pytest.raises(TimeoutError, match=r"a clip\.mp4: queued"):
        client.analyze(clip, timeout=0.1)


def test_client_refuses_an_unknown_option(server: Server, clip: Path) -> None:
    with Client(server.url) as client, pytest.raises(TypeError, match="treshold"):
        client.submit(clip, treshold=0.7)  # type: ignore[call-arg]
