"""Jobs in processes of their own."""

from __future__ import annotations

import pytest

from exvad.pipeline.child_jobs import JobFailedError, run_job


def test_run_job_runs_a_verb(capfd: pytest.CaptureFixture[str]) -> None:
    run_job("config", ["show", "model.tau=0.5"])
    assert "tau: 0.5" in capfd.readouterr().out


def test_run_job_raises_when_the_job_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(JobFailedError, match="exvad config ended with exit code 2; its messages"):
        run_job("config", ["show", "modle.tau=0.5"])
    assert "did you mean model?" in capfd.readouterr().err
