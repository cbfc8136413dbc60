"""A Ray cluster of one node, started as the README says, and a second node with its own disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.processes import free_port, stop

RAY = str(Path(sys.executable).with_name("ray"))
STARTUP_SECONDS = 90


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """A running cluster; yields the environment of its clients."""
    port, dashboard = free_port(), free_port()
    # The cluster and its clients use the same setting, as the README says.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "PATH": path}
    environment.pop("RAY_ADDRESS", None)
    # Ray writes the address of its newest cluster into this folder. In the default folder the
    # address would mislead later sessions.
    folder = tempfile.mkdtemp(prefix="ray")
    environment["RAY_TMPDIR"] = folder
    token = subprocess.run(
        [RAY, "get-auth-token", "--generate"], env=environment, capture_output=True, check=False
    )
    assert token.returncode == 0, token.stderr
    head = subprocess.Popen(
        [
            RAY, "start", "--head", "--block", f"--port={port}", f"--dashboard-port={dashboard}",
            # Jobs need the agent, and it starts without its port if another cluster has that.
            f"--dashboard-agent-listen-port={free_port()}",
            f"--ray-client-server-port={free_port()}",
            "--num-cpus=2", "--include-dashboard=true", "--disable-usage-stats",
        ],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{dashboard}"
    try:
        _wait_for_jobs_api(address, environment)
        yield {**environment, "RAY_API_SERVER_ADDRESS": address, "CLUSTER": f"127.0.0.1:{port}"}
    finally:
        stop(head)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def node_with_its_own_disk(
    address: str, folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Add a node that has another file system at a folder; it joins the cluster after a while.

    Yields its process, which the block may kill.

    Args:
        address: address of the cluster.
        folder: the folder.
        environment: the variables of the node.
    """
    folder.mkdir(exist_ok=True)
    allowed = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if allowed.returncode:
        pytest.skip(f"no node with its own disk: {allowed.stderr.decode()}")
    start = f"{RAY} start --address={address} --num-cpus=2 --block"
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs none {folder} && exec {start}"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            stop(process)


def _wait_for_jobs_api(address: str, environment: dict[str, str]) -> None:
    """Wait until the cluster takes a job; it lists jobs some time before."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while True:
        submitted = subprocess.run(
            [RAY, "job", "submit", "--address", address, "--no-wait", "--", "true"],
            env=environment,
            capture_output=True,
            check=False,
        )
        if submitted.returncode == 0:
            return
        if time.monotonic() > deadline:
            pytest.fail(f"the cluster did not start: {submitted.stderr.decode()[-500:]}")
        time.sleep(1)
