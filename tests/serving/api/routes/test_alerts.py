"""The triage and the frames of alerts."""

from __future__ import annotations

from fastapi.testclient import TestClient

from exvad.results.live import LiveAlert
from exvad.serving.queue.streams import StreamQueue
from tests.helpers.api import problem_detail

HOLDER = "the test"


def test_alert_has_a_frame_and_a_triage(stream_client: TestClient, streams: StreamQueue) -> None:
    stream_id = stream_client.post("/v1/streams", json={"path": "door.ts"}).json()["id"]
    assert streams.claim(HOLDER) is not None
    alert = LiveAlert(number=1, state="began", start=0, end=0.5, label="Arson", peak=0.9)
    streams.publish_alert(stream_id, HOLDER, alert)
    path = f"/v1/streams/{stream_id}/alerts/1"
    problem_detail(stream_client.get(f"{path}/frame"), 404)
    streams.store_frame(stream_id, HOLDER, 1, b"a JPEG")
    frame = stream_client.get(f"{path}/frame")
    assert frame.content == b"a JPEG"
    assert frame.headers["content-type"] == "image/jpeg"
    updated = stream_client.patch(path, json={"triage": "reviewed"})
    assert updated.json()["triage"] == "reviewed"
    assert stream_client.get(f"/v1/streams/{stream_id}").json()["untriaged"] == 0
    missing = stream_client.patch(f"/v1/streams/{stream_id}/alerts/2", json={"triage": "reviewed"})
    assert "has no alert 2" in problem_detail(missing, 404)
