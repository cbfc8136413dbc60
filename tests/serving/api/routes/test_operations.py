"""Health, readiness, models and metrics."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from tests.helpers.api import problem_detail
from tests.helpers.waiting import holds_within


def test_operations_report_the_worker_and_its_work(client: TestClient, clip: Path) -> None:
    assert holds_within(5, lambda: client.get("/readyz").status_code == 200)
    assert client.get("/readyz").json() == {"status": "ok", "waiting": 0}
    (model,) = client.get("/v1/models").json()["items"]
    assert model["model"] == "fake"
    assert model["classes"][0] == "Normal"
    client.post("/v1/analyses?wait=20", content=clip.read_bytes())
    client.post("/v1/analyses?wait=20", content=b"no video")
    metrics = client.get("/metrics").text
    assert "exvad_analyses_accepted_total 2.0" in metrics
    assert 'exvad_analyses_ended_total{state="done"} 1.0' in metrics
    assert 'exvad_analyses_ended_total{state="failed"} 1.0' in metrics
    assert 'exvad_workers{model="fake"} 1.0' in metrics
    assert "exvad_analysis_seconds_count 2.0" in metrics
    assert "exvad_analyses_waiting 0.0" in metrics


def test_a_server_without_workers_is_healthy_but_not_ready(
    idle_client: TestClient, clip: Path
) -> None:
    assert idle_client.get("/healthz").status_code == 200
    assert "no replica" in problem_detail(idle_client.get("/readyz"), 503)
    assert idle_client.get("/v1/models").json() == {"items": []}
    for _ in range(3):
        refused = idle_client.post("/v1/analyses", content=clip.read_bytes())
    assert refused.status_code == 429
    assert "exvad_analyses_refused_total 1.0" in idle_client.get("/metrics").text
