"""Creating, listing, following and deleting streams."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from exvad.results.live import LiveScores
from exvad.serving.queue.streams import StreamQueue
from tests.helpers.api import make_settings, open_client, problem_detail
from tests.helpers.disks import fill, small_disk

HOLDER = "the test"


def test_create_stream_names_the_stream_and_its_location(stream_client: TestClient) -> None:
    response = stream_client.post("/v1/streams", json={"path": "door.ts"})
    assert response.status_code == 201
    stream = response.json()
    assert stream["name"] == "door.ts"
    assert stream["state"] == "waiting"
    assert response.headers["location"] == f"/v1/streams/{stream['id']}"
    assert stream_client.get(response.headers["location"]).json() == stream
    assert stream_client.get("/v1/streams").json() == {"items": [stream], "total": 1}


def test_create_stream_refuses_more_streams_than_the_limit(stream_client: TestClient) -> None:
    stream_client.post("/v1/streams", json={"path": "door.ts", "name": "front door"})
    refused = stream_client.post("/v1/streams", json={"path": "door.ts"})
    assert "1 streams are watched already" in problem_detail(refused, 429)
    assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("stream", "detail"),
    [
        ({"path": "none.ts"}, "no such file"),
        ({"url": "rtsp://127.0.0.1/x"}, "public internet"),
        ({"url": "http://127.0.0.1/x"}, "public internet"),
        ({"url": "ftp://127.0.0.1/x"}, "only rtsp"),
        ({}, "exactly one"),
        ({"path": "door.ts", "webhook": "http://example.com"}, "no secret"),
    ],
)
def test_create_stream_refuses_a_source_that_it_may_not_read(
    stream_client: TestClient, stream: dict[str, str], detail: str
) -> None:
    assert detail in problem_detail(stream_client.post("/v1/streams", json=stream), 422)


def test_follow_stream_sends_scores_and_the_end(
    stream_client: TestClient, streams: StreamQueue
) -> None:
    stream_id = stream_client.post("/v1/streams", json={"path": "door.ts"}).json()["id"]
    assert streams.claim(HOLDER) is not None
    streams.publish_scores(stream_id, HOLDER, LiveScores(times=[0.5], scores=[0.9]), 0.1)
    streams.end(stream_id, HOLDER)
    events = stream_client.get(f"/v1/streams/{stream_id}/events").text
    assert [line for line in events.splitlines() if line.startswith("event: ")] == [
        "event: scores",
        "event: ended",
    ]


def test_delete_stream_deletes_it_and_its_events(
    stream_client: TestClient, streams: StreamQueue
) -> None:
    stream_id = stream_client.post("/v1/streams", json={"path": "door.ts"}).json()["id"]
    path = f"/v1/streams/{stream_id}"
    assert stream_client.delete(path).status_code == 204
    for missing in (stream_client.get(path), stream_client.delete(path)):
        assert "no stream" in problem_detail(missing, 404)
    assert streams.read_events(stream_id) == []


def test_delete_stream_makes_room_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        (disk / "door.ts").write_bytes(b"G")
        settings = make_settings(disk, allowed_root=disk)
        with open_client(settings) as client:
            stream_id = client.post("/v1/streams", json={"path": "door.ts"}).json()["id"]
            recording = settings.recordings / stream_id
            recording.mkdir(parents=True)
            (recording / "1.mp4").write_bytes(bytes(200_000))
            fill(disk)
            assert client.delete(f"/v1/streams/{stream_id}").status_code == 204
            assert not recording.exists()
            assert client.get(f"/v1/streams/{stream_id}").status_code == 404
            assert client.delete(f"/v1/streams/{stream_id}").status_code == 404
