"""`ray job submit` on a started cluster, and a private session beside one: as the README says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.cluster import RAY, ROOT

SMALL = ("data.world.train_videos=8", "data.world.test_videos=4", "data.world.seed=11")

pytestmark = pytest.mark.slow


def test_a_submitted_job_runs_on_the_cluster(cluster: dict[str, str], tmp_path: Path) -> None:
    finished = subprocess.run(
        [
            RAY, "job", "submit", "--working-dir", ".", "--", "python", "jobs/preprocess.py",
            "--preset", "demo", *SMALL, f"run={tmp_path}/run", f"data.root={tmp_path}/videos",
        ],
        cwd=ROOT,
        env=cluster,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-2000:]
    assert "12 of 12 videos are ready, 0 failed" in finished.stdout


def test_a_job_of_ones_own_leaves_the_cluster_alone(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    environment = {k: v for k, v in cluster.items() if k != "RAY_ADDRESS"}
    finished = subprocess.run(
        [
            sys.executable, "jobs/preprocess.py", "--preset", "demo", *SMALL,
            f"run={tmp_path}/run", f"data.root={tmp_path}/videos",
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-2000:]
    listing = subprocess.run(
        [RAY, "job", "list"], env=cluster, capture_output=True, text=True, check=False
    )
    assert listing.returncode == 0, listing.stderr
    assert listing.stdout.count("JobType.DRIVER") <= 1
