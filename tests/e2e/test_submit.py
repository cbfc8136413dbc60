"""`ray job submit` on a cluster, and a private session beside one, as the README says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.helpers.cluster import RAY, cluster
from tests.helpers.processes import ROOT, exvad_command

__all__ = ["cluster"]
SMALL = ("data.world.train_videos=8", "data.world.test_videos=4", "data.world.seed=11")

pytestmark = pytest.mark.slow


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in the project with exactly the given environment."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def preprocess_arguments(folder: Path) -> list[str]:
    """Return the arguments of the job on a small world."""
    return ["--preset", "demo", *SMALL, f"run={folder}/run", f"data.root={folder}/videos"]


def test_submitted_job_runs_on_the_cluster(cluster: dict[str, str], tmp_path: Path) -> None:
    submit = [RAY, "job", "submit", "--working-dir", ".", "--", "python", "jobs/preprocess.py"]
    finished = run([*submit, *preprocess_arguments(tmp_path)], cluster)
    assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-2000:]
    assert "12 of 12 videos are ready, 0 failed" in finished.stdout


def test_submitted_job_refuses_a_relative_run_that_would_be_lost(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    submit = [RAY, "job", "submit", "--working-dir", ".", "--", "python", "jobs/preprocess.py"]
    settings = ["--preset", "demo", *SMALL, "run=runs/submitted", f"data.root={tmp_path}/videos"]
    finished = run([*submit, *settings], cluster)
    assert finished.returncode == 1, finished.stdout[-2000:]
    assert "run: runs/submitted is a relative path, which in a submitted job" in finished.stdout
    assert not (tmp_path / "videos").exists()


def test_private_session_does_not_use_the_cluster_beside_it(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    environment = {name: value for name, value in cluster.items() if name != "RAY_ADDRESS"}
    command = exvad_command("preprocess", *preprocess_arguments(tmp_path))
    finished = run(command, environment)
    assert finished.returncode == 0, finished.stderr[-2000:]
    listing = run([RAY, "job", "list"], cluster)
    assert listing.returncode == 0, listing.stderr
    assert listing.stdout.count("JobType.DRIVER") <= 1
