"""The clients against a real HTTP server: answers, refusals, a full queue, and lost connections."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from exvad.client import AsyncClient, Client, ServerError, ServerEvent
from exvad.client.protocol import EventReader
from tests.helpers.server import Server, serving
from tests.helpers.videos import write_video


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "a clip.mp4", 48, size=(64, 48))


def test_a_video_is_analyzed_and_its_work_can_be_followed(server: Server, clip: Path) -> None:
    server.begin()
    with Client(server.url) as client:
        answer = client.analyze(clip, {"Queue": ["people stand in a line"]}, 0.7, timeout=30)
        assert answer.video == "a clip.mp4"
        assert answer.untrained == ["Queue"]
        assert answer.threshold == 0.7
        with pytest.raises(ServerError, match="threshold"):
            client.submit(clip, threshold=1.5)
        told = list(client.follow(client.submit(clip).id))
    assert [each.kind for each in told if each.kind != "progress"] == [
        "writing", "first_scores", "scores", "events", "explanation", "done",
    ]  # fmt: skip
    assert isinstance(told[-1], ServerEvent)


def test_the_same_with_asyncio(server: Server, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "exvad.serving.api.submission.RETRY_AFTER", "0"
    )  # four at once are too many here
    server.begin()

    async def work() -> tuple[str, list[str]]:
        async with AsyncClient(server.url, retries=400) as client:
            answers = await asyncio.gather(*(client.analyze(clip, timeout=30) for _ in range(4)))
            job = await client.submit(clip)
            kinds = [told.kind async for told in client.follow(job.id)]
            return answers[3].label, kinds

    label, kinds = asyncio.run(work())
    assert label == "Arson"
    assert kinds[-1] == "done"


def test_what_the_server_says_is_the_error(server: Server, tmp_path: Path) -> None:
    server.begin()
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


def test_a_full_queue_is_tried_again_until_there_is_room(
    server: Server, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.serving.api.submission.RETRY_AFTER", "0")
    with Client(server.url, retries=0) as hasty:
        for _ in range(2):
            hasty.submit(clip)
        with pytest.raises(ServerError) as full:
            hasty.submit(clip)
    assert full.value.status == 429
    threading.Timer(0.2, server.begin).start()
    with Client(server.url, retries=400) as patient:
        assert patient.analyze(clip, timeout=30).label == "Arson"


def test_who_is_one_too_many_to_follow_comes_again(tmp_path: Path, clip: Path) -> None:
    with serving(tmp_path, max_followers=1) as server, Client(server.url) as client:
        number = client.submit(clip).id
        place = f"{server.url}/v1/analyses/{number}/events"
        with httpx.stream("GET", place) as first:
            assert first.status_code == 200
            # Whoever waits, waits no longer; whoever follows is told to come again.
            begin = time.monotonic()
            assert client.get(number).state == "queued"
            waited = httpx.get(f"{server.url}/v1/analyses/{number}", params={"wait": 30})
            assert waited.json()["state"] == "queued"
            assert time.monotonic() - begin < 10
            refused = httpx.get(place)
            assert refused.status_code == 429
            assert refused.headers["retry-after"].isdigit()
            threading.Timer(0.5, server.begin).start()
            told = "".join(first.iter_text())
            assert "event: done" in told
        kinds = [each.kind for each in client.follow(number)]
        assert kinds[-1] == "done"


def test_a_server_that_is_not_there_is_named(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exvad.client.synchronous.pause", lambda *_: 0.05)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with Client(nowhere, retries=2) as client, pytest.raises(ConnectionError, match=nowhere):
        client.submit(clip)

    async def ask() -> None:
        async with AsyncClient(nowhere, retries=1) as client:
            await client.get("any")

    with pytest.raises(ConnectionError, match=nowhere):
        asyncio.run(ask())


def test_half_an_event_comes_again_whole_and_is_heard_once() -> None:
    reader = EventReader()
    first = ["id: 1", "event: progress", "data: {}", ""]
    second = ["id: 2", "event: scores", 'data: {"scores": [1]}', ""]
    assert [told.kind for line in first if (told := reader.feed(line))] == ["progress"]
    for cut in range(1, 4):
        assert not any(reader.feed(line) for line in second[:cut])
        assert reader.headers() == {"Last-Event-ID": "1"}
    (told,) = [told for line in second if (told := reader.feed(line))]
    assert told.data == {"scores": [1]}
    assert reader.headers() == {"Last-Event-ID": "2"}


def test_a_url_without_a_scheme_is_named() -> None:
    with pytest.raises(ValueError, match="begin the server's URL with http://"):
        Client("localhost:8000")


def test_who_leaves_while_waiting_makes_room(tmp_path: Path, clip: Path) -> None:
    with serving(tmp_path, max_followers=2) as server, Client(server.url) as client:
        number = client.submit(clip).id
        place = f"{server.url}/v1/analyses/{number}"
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                httpx.get(place, params={"wait": 500}, timeout=0.3)
        until = time.monotonic() + 15
        while httpx.get(place, params={"wait": 0.1}).is_success:
            with httpx.stream("GET", f"{place}/events") as followed:
                if followed.status_code == 200:
                    break
            assert time.monotonic() < until
            time.sleep(0.2)


def test_a_timeout_says_what_it_waited_for(server: Server, clip: Path) -> None:
    with Client(server.url) as client, pytest.raises(TimeoutError, match=r"a clip\.mp4: queued"):
        client.analyze(clip, timeout=0.1)
