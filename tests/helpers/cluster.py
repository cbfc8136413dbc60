"""TODO"""

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

from tests.helpers.processes import stop

ROOT = Path(__file__).resolve().parents[2]


RAY = str(Path(sys.executable).with_name("ray"))


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
