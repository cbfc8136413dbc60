"""Jobs in processes of their own."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import psutil
import pytest

from exvad.pipeline.studies.child_jobs import JobFailedError, run_job
from exvad.pipeline.termination import ReportedInterruptError, termination_raised
from tests.helpers.waiting import holds_within


def test_run_job_runs_a_verb(capfd: pytest.CaptureFixture[str]) -> None:
    run_job("config", ["show", "model.tau=0.5"])
    assert "tau: 0.5" in capfd.readouterr().out


def test_run_job_raises_when_the_job_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(JobFailedError, match="exvad config ended with exit code 2; its messages"):
        run_job("config", ["show", "modle.tau=0.5"])
    assert "did you mean model?" in capfd.readouterr().err


def as_python(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `run_job` run a shell script in place of Python."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{script}")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))


@pytest.mark.parametrize(
    ("number", "told"),
    [(9, r"was killed \(SIGKILL\), perhaps for"), (40, r"was killed \(signal 40\);")],
)
def test_run_job_names_the_signal_that_killed_a_job(
    number: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_python(tmp_path, f"kill -{number} $$\n", monkeypatch)
    with pytest.raises(JobFailedError, match=f"exvad train {told}"):
        run_job("train", [])


def test_a_terminated_command_takes_its_job_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_python(
        tmp_path,
        f"trap 'echo ended > {tmp_path}/ended; exit 130' TERM\n"
        f"echo $$ > {tmp_path}/started\nwhile :; do sleep 0.1; done\n",
        monkeypatch,
    )

    def terminate() -> None:
        assert holds_within(30, (tmp_path / "started").exists)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate).start()
    with termination_raised(), pytest.raises(ReportedInterruptError):
        run_job("train", [])
    assert (tmp_path / "ended").exists()
    assert not psutil.pid_exists(int((tmp_path / "started").read_text()))


def test_an_interrupted_job_interrupts_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_python(tmp_path, "exit 130\n", monkeypatch)
    with pytest.raises(ReportedInterruptError):
        run_job("train", [])
