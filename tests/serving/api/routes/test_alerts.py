"""The triage, the frames and the clips of alerts."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from exvad.results.live import LiveAlert
from exvad.serving.queue.streams import StreamQueue
from exvad.serving.recording.ring import Limits, RecordingRing
from tests.helpers.api import make_settings, open_client, problem_detail
from tests.helpers.recordings import record, show
from tests.helpers.videos import write_video

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


def test_alert_has_a_clip_while_its_recording_is_kept(
    stream_client: TestClient, streams: StreamQueue, tmp_path: Path
) -> None:
    created = stream_client.post("/v1/streams", json={"path": "door.ts", "keep_hours": 2}).json()
    assert created["keep_hours"] == 2
    stream_id = created["id"]
    assert streams.claim(HOLDER) is not None
    path = f"/v1/streams/{stream_id}/alerts/1/clip"
    assert "has no alert 1" in problem_detail(stream_client.get(path), 404)
    alert = LiveAlert(number=1, state="began", start=2.2, end=2.6, label="Arson", peak=0.9)
    streams.publish_alert(stream_id, HOLDER, alert)
    assert "not kept any more" in problem_detail(stream_client.get(path), 404)
    folder = tmp_path / "spool" / "recordings" / stream_id
    ring = RecordingRing(folder, Limits(2, 2**30, 0))
    for fragment in record(write_video(tmp_path / "clip.ts", 125, gop=25))[0]:
        ring.append(fragment)
    clip = stream_client.get(path, params={"around": 0.5})
    assert clip.headers["content-type"] == "video/mp4"
    assert int(clip.headers["content-length"]) == len(clip.content)
    assert [index for index, _ in show(clip.content)] == list(range(25, 100))
    assert stream_client.delete(f"/v1/streams/{stream_id}").status_code == 204
    assert not folder.exists()


def test_keep_hours_is_the_servers_setting_unless_a_request_says_otherwise(
    tmp_path: Path,
) -> None:
    (tmp_path / "door.ts").write_bytes(b"G")
    with open_client(make_settings(tmp_path, allowed_root=tmp_path, keep_hours=3)) as client:
        kept = [
            client.post("/v1/streams", json={"path": "door.ts", **options}).json()["keep_hours"]
            for options in ({}, {"keep_hours": 0})
        ]
    assert kept == [3, 0]
