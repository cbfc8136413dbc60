"""All replicas of the server run on one node, which has the disk with the queue."""

from __future__ import annotations

from typing import Any

import pytest
import ray

from exvad.pipeline.placement import Demand, PlacementError
from exvad.serving.deployments.one_node import choose_node, on_node

REPLICAS = [Demand("front", "the front", 0.1), Demand("replica", "clip", 0.3, 0, 2)]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The cores of the nodes 10.0.0.1, 10.0.0.2, …; this process is on the first."""
    cores = [2.0, 2.0]

    def listed() -> list[dict[str, Any]]:
        return [
            {"Alive": True, "NodeID": str(number), "NodeManagerAddress": f"10.0.0.{number}",
             "Resources": {"CPU": cpus}}
            for number, cpus in enumerate(cores, 1)
        ]  # fmt: skip

    class Context:
        def get_node_id(self) -> str:
            return "1"

    monkeypatch.setattr(ray, "nodes", listed)
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "get_runtime_context", Context)
    monkeypatch.setattr("exvad.pipeline.placement._addable_nodes", list)
    return cores


def test_one_node_leaves_no_choice(nodes: list[float]) -> None:
    del nodes[1]
    assert choose_node(REPLICAS) == ""
    assert on_node("") == {}


def test_the_node_where_the_server_is_started_is_preferred(nodes: list[float]) -> None:
    assert choose_node(REPLICAS) == "1"
    assert choose_node(REPLICAS, "10.0.0.2") == "2"


def test_a_head_without_cores_leaves_the_server_to_the_only_other_node(nodes: list[float]) -> None:
    nodes[0] = 0
    assert choose_node(REPLICAS) == "2"
    nodes.append(8)
    with pytest.raises(PlacementError, match=r"set node to one of 10\.0\.0\.2, 10\.0\.0\.3"):
        choose_node(REPLICAS)


def test_replicas_that_fit_no_single_node_are_refused(nodes: list[float]) -> None:
    nodes[:] = [0.5, 0.5]
    with pytest.raises(PlacementError, match="one node must hold all replicas"):
        choose_node(REPLICAS)
    nodes[1] = 1
    with pytest.raises(PlacementError, match=r"node: 10\.0\.0\.1 can't hold all replicas"):
        choose_node(REPLICAS, "10.0.0.1")
