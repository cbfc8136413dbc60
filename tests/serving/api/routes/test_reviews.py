"""Reviews of the events of a video: what is refused, and a server without a manifest."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from exvad.serving.labelling import reviewed_manifest
from exvad.serving.labelling.session import open_session
from exvad.serving.settings import ServerSettings
from tests.helpers.api import open_client, problem_detail
from tests.helpers.labelling import analyze_all, event


def test_review_of_wrong_events_is_refused_with_the_reason(client: TestClient, clip: Path) -> None:
    status = client.post("/v1/analyses?wait=20", content=clip.read_bytes()).json()
    path, duration = f"/v1/analyses/{status['id']}/review", status["result"]["duration"]
    for events, problem in (
        ([event(0, 1, "Arson"), event(0, duration + 1, "Arson")], "event 2: it ends at"),
        ([event(0, 1, "normal")], "the normal class"),
        ([event(1, 1, "Arson")], "the end of an event must be above its start"),
        ([event(0, 1e-9, "Arson")], "the end of an event must be above its start"),
        ([event(False, 1, "Arson")], "start"),
        ([event(0, 1, "Arson, fire")], "label"),
        ([event(0, 1, " Arson")], "label"),
        ([event(0, 1, "Arson", "perhaps")], "decision"),
    ):
        assert problem in problem_detail(client.put(path, json={"events": events}), 422)
    assert client.get(f"/v1/analyses/{status['id']}").json()["review"] is None

    stored = client.put(path, json={"events": [event(0, duration, "Fall")]}).json()["review"]
    assert client.get(f"/v1/analyses/{status['id']}").json()["review"] == stored
    summary = client.get("/v1/reviews").json()
    assert (summary["manifest"], summary["abnormal"], summary["labels"]) == (None, 1, ["Fall"])


def test_review_needs_an_analysis_that_is_done(idle_client: TestClient) -> None:
    analysis_id = idle_client.post("/v1/analyses", content=b"x").json()["id"]
    waiting = idle_client.put(f"/v1/analyses/{analysis_id}/review", json={"events": []})
    assert "it is queued" in problem_detail(waiting, 409)
    problem_detail(idle_client.put("/v1/analyses/none/review", json={"events": []}), 404)
    problem_detail(idle_client.delete("/v1/analyses/none/review"), 404)


def test_review_says_that_the_manifest_can_not_be_written(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    session = open_session([str(clip)], tmp_path / "labels.csv", ServerSettings())
    analyze_all(session)
    with open_client(session.settings) as client:
        analysis_id = client.get("/v1/reviews").json()["next"]
        monkeypatch.setattr(reviewed_manifest, "write_manifest", fail)
        path = f"/v1/analyses/{analysis_id}/review"
        failed = client.put(path, json={"events": []})
        assert "can't be written: Permission denied" in problem_detail(failed, 500)
        assert client.get("/v1/reviews").json()["normal"] == 1
