"""Places that are other ones on other nodes are refused: two nodes with a disk of their own."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray

from exvad.pipeline.session import ray_output_hidden
from exvad.pipeline.shared_places import UnsharedPlaceError, check_shared
from tests.helpers.cluster import RAY
from tests.helpers.processes import stop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of a head without CPUs and one node, on which this process has a session."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        with ray_output_hidden():
            ray.init(cluster.address, logging_level=logging.ERROR, log_to_driver=False)
        yield cluster.address
    finally:
        ray.shutdown()
        cluster.shutdown()


@contextmanager
def node_with_its_own_disk(address: str, folder: Path) -> Iterator[None]:
    """Add a node that has another file system at a folder."""
    script = (
        f"mount -t tmpfs none {folder} && exec {RAY} start --address={address} --num-cpus=1 --block"
    )
    nodes = sum(node["Alive"] for node in ray.nodes())
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 90
        while sum(node["Alive"] for node in ray.nodes()) == nodes:
            if process.poll() is not None and process.stderr is not None:
                pytest.skip(f"no node with its own disk: {process.stderr.read().decode()[-200:]}")
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield
    finally:
        stop(process)
        if process.stderr is not None:
            process.stderr.close()


def test_shared_places_pass_and_leave_nothing_behind(address: str, tmp_path: Path) -> None:
    check_shared({"store": f"{tmp_path}/store", "run": f"{tmp_path}/run"})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_place_on_a_disk_of_one_node_is_refused_within_seconds(
    address: str, tmp_path: Path
) -> None:
    own, shared = tmp_path / "own", tmp_path / "shared"
    own.mkdir()
    with node_with_its_own_disk(address, own):
        check_shared({"run": f"{shared}/run"})
        start = time.monotonic()
        with pytest.raises(UnsharedPlaceError, match="is not the same place on all nodes") as error:
            check_shared({"run": f"{shared}/run", "store": f"{own}/store"})
        assert time.monotonic() - start < 30
    assert f"store {own}/store" in str(error.value)
    assert str(error.value).endswith("or a bucket")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
