"""Jobs in processes of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from exvad.pipeline.child_jobs import JobFailedError, run_job


def test_run_job_runs_a_verb(capfd: pytest.CaptureFixture[str]) -> None:
    run_job("config", ["show", "model.tau=0.5"])
    assert "tau: 0.5" in capfd.readouterr().out


def test_run_job_raises_when_the_job_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(JobFailedError, match="exvad config ended with exit code 2; its messages"):
        run_job("config", ["show", "modle.tau=0.5"])
    assert "did you mean model?" in capfd.readouterr().err


def test_run_job_names_the_signal_that_killed_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -9 $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(JobFailedError, match=r"exvad train was killed \(SIGKILL\), perhaps for"):
        run_job("train", [])
