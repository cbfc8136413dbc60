"""Places that are other ones on other nodes are refused: two nodes with a disk of their own."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from exvad.pipeline.session import ray_output_hidden
from exvad.pipeline.shared_places import UnsharedPlaceError, check_shared
from tests.helpers.cluster import node_with_its_own_disk
from tests.helpers.ray_sessions import cluster_of_nodes
from tests.helpers.waiting import holds_within

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of a head without CPUs and one node, on which this process has a session."""
    with cluster_of_nodes(1) as cluster:
        with ray_output_hidden():
            ray.init(cluster.address, logging_level=logging.ERROR, log_to_driver=False)
        try:
            yield cluster.address
        finally:
            ray.shutdown()


def wait_for_nodes(count: int) -> None:
    """Wait until the cluster has a number of nodes."""
    assert holds_within(90, lambda: sum(node["Alive"] for node in ray.nodes()) == count)


def test_shared_places_pass_and_leave_nothing_behind(address: str, tmp_path: Path) -> None:
    check_shared({"store": f"{tmp_path}/store", "run": f"{tmp_path}/run"})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_place_on_a_disk_of_one_node_is_refused_within_seconds(
    address: str, tmp_path: Path
) -> None:
    own, shared = tmp_path / "own", tmp_path / "shared"
    with node_with_its_own_disk(address, own, dict(os.environ)):
        wait_for_nodes(3)
        check_shared({"run": f"{shared}/run"})
        start = time.monotonic()
        with pytest.raises(UnsharedPlaceError, match="is not the same place on all nodes") as error:
            check_shared({"run": f"{shared}/run", "store": f"{own}/store"})
        assert time.monotonic() - start < 30
    assert f"store {own}/store" in str(error.value)
    assert str(error.value).endswith("or a bucket")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
