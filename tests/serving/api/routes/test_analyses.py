"""Listing, following, triaging and deleting analyses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from exvad.serving.queue.analyses import AnalysisQueue
from tests.helpers.api import make_settings, open_client, problem_detail
from tests.helpers.disks import fill, small_disk


def test_list_analyses_returns_each_analysis_on_one_page(
    idle_client: TestClient, tmp_path: Path
) -> None:
    queue = AnalysisQueue(tmp_path / "spool" / "queue.sqlite")
    for number in range(5):
        queue.add(f"{number}.mp4", tmp_path / "x", uploaded=False)
    names: list[str] = []
    offset: Any = 0
    while offset is not None:
        page = idle_client.get(f"/v1/analyses?limit=2&offset={offset}").json()
        names += [item["name"] for item in page["items"]]
        offset = page["next_offset"]
    assert names == ["4.mp4", "3.mp4", "2.mp4", "1.mp4", "0.mp4"]
    assert idle_client.get("/v1/analyses?state=done").json()["total"] == 0
    assert "limit" in problem_detail(idle_client.get("/v1/analyses?limit=0"), 422)


def test_follow_analysis_sends_all_events_or_those_after_the_last_one(
    client: TestClient, clip: Path
) -> None:
    analysis_id = client.post("/v1/analyses?wait=20", content=clip.read_bytes()).json()["id"]
    path = f"/v1/analyses/{analysis_id}/events"
    events = [
        dict(line.split(": ", 1) for line in block.splitlines())
        for block in client.get(path).text.strip().split("\n\n")
    ]
    assert [event["event"] for event in events] == [
        "progress", "progress", "writing", "first_scores", "scores", "events", "explanation",
        "done",
    ]  # fmt: skip
    assert json.loads(events[5]["data"])["events"][0]["label"] == "Arson"
    rest = client.get(path, headers={"Last-Event-ID": events[-2]["id"]}).text
    assert rest.count("event: ") == 1
    assert "event: done" in rest


def test_get_analysis_of_a_broken_video_reports_the_failure_without_paths(
    client: TestClient, tmp_path: Path
) -> None:
    status = client.post("/v1/analyses?wait=20&name=t.mp4", content=b"no video").json()
    assert status["state"] == "failed"
    assert "t.mp4" in status["error"]
    assert str(tmp_path) not in json.dumps(status)
    report = client.get(f"/v1/analyses/{status['id']}/report")
    assert "failed" in problem_detail(report, 409)
    assert "event: failed" in client.get(f"/v1/analyses/{status['id']}/events").text


def test_update_analysis_stores_the_triage(idle_client: TestClient) -> None:
    analysis_id = idle_client.post("/v1/analyses", content=b"x").json()["id"]
    path = f"/v1/analyses/{analysis_id}"
    updated = idle_client.patch(path, json={"triage": "false alarm"})
    assert updated.json()["triage"] == "false alarm"
    assert idle_client.get("/v1/analyses").json()["items"][0]["triage"] == "false alarm"
    problem_detail(idle_client.patch(path, json={"triage": "x"}), 422)
    problem_detail(idle_client.patch("/v1/analyses/none", json={"triage": "open"}), 404)


@pytest.mark.parametrize("tail", ["", "/events", "/report", "/frames/1", "/video"])
def test_endpoints_of_an_unknown_analysis_return_404(idle_client: TestClient, tail: str) -> None:
    assert "none" in problem_detail(idle_client.get(f"/v1/analyses/none{tail}"), 404)
    problem_detail(idle_client.delete("/v1/analyses/none"), 404)


def test_delete_analysis_makes_room_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        settings = make_settings(disk)
        with open_client(settings) as client:
            analysis_id = client.post("/v1/analyses", content=bytes(200_000)).json()["id"]
            fill(disk)
            assert client.delete(f"/v1/analyses/{analysis_id}").status_code == 204
            assert list((settings.spool / "videos").iterdir()) == []
            assert client.get(f"/v1/analyses/{analysis_id}").status_code == 404
            assert client.delete(f"/v1/analyses/{analysis_id}").status_code == 404
