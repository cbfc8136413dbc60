"""`ray job submit` on a started cluster, and a private session beside one: as the README says."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import stop

ROOT = Path(__file__).resolve().parents[2]
RAY = str(Path(sys.executable).with_name("ray"))
SMALL = ("data.world.train_videos=8", "data.world.test_videos=4", "data.world.seed=11")

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """A cluster of one node; what a client of it has in its environment."""
    port, dashboard = free_port(), free_port()
    # As the README says: the same setting for the cluster and for those who talk to it.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "PATH": path}
    environment.pop("RAY_ADDRESS", None)
    # Ray notes its newest cluster in this folder; a note of ours would mislead others later.
    own = tempfile.mkdtemp(prefix="ray")
    environment["RAY_TMPDIR"] = own
    token = subprocess.run(
        [RAY, "get-auth-token", "--generate"], env=environment, capture_output=True, check=False
    )
    assert token.returncode == 0, token.stderr
    head = subprocess.Popen(
        [
            RAY, "start", "--head", "--block", f"--port={port}", f"--dashboard-port={dashboard}",
            "--num-cpus=2", "--include-dashboard=true", "--disable-usage-stats",
        ],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{dashboard}"
    try:
        for _ in range(60):
            listing = subprocess.run(
                [RAY, "job", "list", "--address", address],
                env=environment,
                capture_output=True,
                check=False,
            )
            if listing.returncode == 0:
                break
            time.sleep(1)
        else:
            pytest.fail(f"the cluster did not come up: {listing.stderr.decode()[-500:]}")
        yield {**environment, "RAY_API_SERVER_ADDRESS": address, "CLUSTER": f"127.0.0.1:{port}"}
    finally:
        stop(head)
        shutil.rmtree(own, ignore_errors=True)


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
