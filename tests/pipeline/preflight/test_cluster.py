"""The preflight on a cluster: workers look at the models, and its GPUs are counted."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from exvad.config import load_config
from exvad.pipeline.preflight.checks import check_run
from tests.helpers.cluster import cluster
from tests.helpers.processes import free_port, run_exvad

__all__ = ["cluster"]


@pytest.mark.slow
def test_workers_look_at_the_models_and_missing_gpus_are_refused(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    environment = {**cluster, "RAY_ADDRESS": cluster["CLUSTER"]}

    def check(*overrides: str) -> dict[str, dict[str, Any]]:
        arguments = ["check", "--json", f"run={tmp_path}/run", *overrides]
        finished = run_exvad(*arguments, environment=environment)
        assert finished.stdout, finished.stderr
        return {found["what"]: found for found in json.loads(finished.stdout)["findings"]}

    found = check("llm.model=/no/llm", "stages.language.gpus=1")
    problems = {what: finding["detail"] for what, finding in found.items() if not finding["ok"]}
    assert set(problems) == {"llm.model", "stages.language GPUs"}
    assert "/no/llm" in problems["llm.model"]
    assert "no node of the cluster" in problems["stages.language GPUs"]
    assert found["captioner.model"]["ok"]
    assert all(finding["ok"] for finding in check().values())


def test_cluster_that_is_gone_is_a_finding_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port()}")
    start = time.monotonic()
    findings = check_run(load_config("demo", [f"run={tmp_path}/run"]), "preprocess")
    assert time.monotonic() - start < 10
    (problem,) = [finding for finding in findings if not finding.ok]
    assert problem.what == "cluster"
    assert "RAY_ADDRESS" in problem.detail
