"""`exvad check` asks the MLflow server of a run."""

from __future__ import annotations

import pytest

from exvad.config import load_config
from exvad.pipeline.preflight.checks import check_run
from tests.helpers.processes import free_port


def test_a_check_of_all_jobs_names_an_mlflow_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    uri = f"mlflow.uri=postgresql://user:secret@127.0.0.1:{free_port()}/x"
    (found,) = [f for f in check_run(load_config("demo", [uri])) if f.what == "mlflow.uri"]
    assert not found.ok
    assert "Connection refused" in found.detail
    assert "secret" not in found.detail
    assert not [f for f in check_run(load_config("demo")) if f.what == "mlflow.uri"]
