"""Requests for resources that a cluster can't fulfil are refused, lowered or reported."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from exvad.config import Resources, load_config
from exvad.pipeline import placement
from exvad.pipeline.placement import (
    Demand,
    PlacementError,
    actors_demand,
    check_placement,
    place_actors,
    waiting_reported,
)
from exvad.pipeline.preprocess import preprocess
from tests.helpers.ray_sessions import fake_cluster
from tests.helpers.world_videos import render_videos, write_listing

CLUSTER_CONFIG = "ray._private.state.state.get_cluster_config"
DECODING = Demand("decoding task", "stages.decode_cpus", 1)
TWO_ACTORS = Resources(cpus=1, min_actors=2, max_actors=2)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """The nodes of the cluster, to be changed by a test; there is no autoscaler."""
    present = [{"CPU": 2.0, "memory": 1e9}]
    monkeypatch.setattr(
        ray, "nodes", lambda: [{"Alive": True, "Resources": node} for node in present]
    )
    monkeypatch.setattr(CLUSTER_CONFIG, lambda: None)
    monkeypatch.setattr(placement, "_internal_kv_get", lambda _: None)
    return present


def add_autoscaler(
    monkeypatch: pytest.MonkeyPatch, *kinds: dict[str, float], most: int = -1
) -> None:
    groups = [SimpleNamespace(resources=kind, max_count=most) for kind in kinds]
    cluster = SimpleNamespace(node_group_configs=groups)
    monkeypatch.setattr(CLUSTER_CONFIG, lambda: cluster)


def test_check_placement_refuses_a_gpu_where_no_node_has_one(nodes: list[dict[str, float]]) -> None:
    with pytest.raises(
        PlacementError,
        match=r"encoding can't start: 1 actor with 1 CPU and 1 GPU \(stages\.vision\), and no "
        r"node of the cluster is that large \(nodes have 2 CPU\)",
    ):
        check_placement("encoding", [actors_demand("stages.vision", Resources(gpus=1))])
    nodes.append({"CPU": 8.0, "GPU": 1.0})
    check_placement("encoding", [actors_demand("stages.vision", Resources(gpus=1))])


def test_check_placement_refuses_what_does_not_fit_at_the_same_time(
    nodes: list[dict[str, float]],
) -> None:
    demands = [actors_demand("stages.vision", TWO_ACTORS), DECODING]
    with pytest.raises(
        PlacementError, match=r"at the same time 2 actors with 1 CPU each .* has 2 CPU on 1 nodes"
    ):
        check_placement("encoding", demands)
    nodes.append({"CPU": 1.0})
    check_placement("encoding", demands)


@pytest.mark.usefixtures("nodes")
def test_check_placement_counts_the_nodes_that_an_autoscaler_adds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    demands = [actors_demand("stages.vision", Resources(gpus=1, min_actors=3, max_actors=3))]
    add_autoscaler(monkeypatch, {"CPU": 8.0})
    with pytest.raises(PlacementError, match="nodes have 2 CPU, 8 CPU"):
        check_placement("encoding", demands)
    add_autoscaler(monkeypatch, {"CPU": 8.0}, {"CPU": 4.0, "GPU": 1.0})
    check_placement("encoding", demands)


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(("kind", "refused"), [("node_abc", True), ("gpu_worker", False)])
def test_check_placement_trusts_the_older_autoscaler(
    kind: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = f'{{"autoscaler_report": {{"active_nodes": {{"{kind}": 1}}}}}}'
    monkeypatch.setattr(placement, "_internal_kv_get", lambda _: status.encode())
    demands = [actors_demand("stages.vision", Resources(gpus=1))]
    if refused:
        with pytest.raises(PlacementError):
            check_placement("encoding", demands)
    else:
        check_placement("encoding", demands)


@pytest.mark.usefixtures("nodes")
def test_place_actors_leaves_room_for_what_runs_beside_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    placed = place_actors("encoding", "stages.vision", TWO_ACTORS, [DECODING])
    assert (placed.min_actors, placed.max_actors) == (1, 1)
    assert "encoding runs with 1 instead of 2 actors" in " ".join(capsys.readouterr().err.split())
    assert place_actors("encoding", "stages.vision", TWO_ACTORS) == TWO_ACTORS
    assert not capsys.readouterr().err
    elastic = Resources(cpus=0.5, min_actors=1, max_actors=8)
    assert place_actors("encoding", "stages.vision", elastic, [DECODING]).max_actors == 2
    with pytest.raises(PlacementError):
        place_actors("encoding", "stages.vision", Resources(cpus=1.5), [DECODING])


@pytest.mark.parametrize(("share", "actors"), [(0.5, 4), (0.25, 8), (0.6, 2), (1, 2), (2, 1)])
def test_place_actors_gives_an_actor_a_share_of_one_gpu_or_whole_ones(
    share: float, actors: int, nodes: list[dict[str, float]]
) -> None:
    nodes.append({"CPU": 16.0, "GPU": 2.0})
    resources = Resources(gpus=share, min_actors=1, max_actors=16)
    placed = place_actors("encoding", "stages.vision", resources, [DECODING])
    assert placed.max_actors == actors


@pytest.mark.parametrize(("share", "actors"), [(1, 10), (0.5, 20), (8, 1)])
def test_pool_without_a_maximum_is_as_large_as_the_cluster(
    share: float, actors: int, nodes: list[dict[str, float]]
) -> None:
    nodes += [{"CPU": 32.0, "GPU": 8.0}, {"CPU": 8.0, "GPU": 2.0}]
    elastic = Resources(gpus=share, max_actors=None)
    assert place_actors("encoding", "stages.vision", elastic).max_actors == actors


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(("most", "actors"), [(5, 20), (0, 1), (-1, 256), (1000, 256)])
def test_pool_without_a_maximum_counts_the_nodes_that_an_autoscaler_adds(
    monkeypatch: pytest.MonkeyPatch, most: int, actors: int
) -> None:
    add_autoscaler(monkeypatch, {"CPU": 8.0, "GPU": 4.0}, most=most)
    elastic = Resources(gpus=1, max_actors=None)
    if most == 0:
        with pytest.raises(PlacementError):
            place_actors("encoding", "stages.vision", elastic)
    else:
        assert place_actors("encoding", "stages.vision", elastic).max_actors == actors


@pytest.mark.usefixtures("nodes")
def test_place_actors_keeps_the_pool_if_an_autoscaler_adds_nodes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_autoscaler(monkeypatch, {"CPU": 8.0})
    assert place_actors("encoding", "stages.vision", TWO_ACTORS, [DECODING]) == TWO_ACTORS


@pytest.fixture
def two_cores() -> Iterator[None]:
    with fake_cluster(num_cpus=2):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("two_cores")
def test_waiting_reported_prints_what_the_cluster_has_no_room_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(placement, "REPORT_SECONDS", 0.5)
    with pytest.raises(PlacementError, match="nodes have 2 CPU"):
        check_placement("training", [Demand("worker", "train.gpu", 1, 1)])
    with waiting_reported("training"):
        time.sleep(1.2)
    assert not capsys.readouterr().err, "nothing is waited for"
    waiting: Any = ray.remote(num_gpus=1)(lambda: None).remote()
    output, deadline = "", time.monotonic() + 60
    with waiting_reported("training"):
        while "min so far: 1 × 1 CPU and 1 GPU; free: 2 CPU" not in output:
            assert time.monotonic() < deadline, output
            time.sleep(0.2)
            output = " ".join([output, *capsys.readouterr().err.split()])
    assert re.match(r" training waits for free cores or GPUs, \d+ min so far", output)
    ray.cancel(waiting)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of Ray Data itself
def test_preprocess_leaves_a_core_for_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two actors with a whole core each used to take both cores; decoding waited for ever."""
    write_listing(tmp_path / "videos.csv", render_videos(tmp_path, ("Normal", "Arson"), 7_000_000))
    monkeypatch.setattr("exvad.pipeline.preprocess.ray_session", lambda: fake_cluster(num_cpus=2))
    options = [
        "data.kind=manifest", f"data.manifest={tmp_path}/videos.csv", f"run={tmp_path}/run",
        "stages.vision.cpus=1", "stages.decode_cpus=1",
    ]  # fmt: skip
    assert preprocess(load_config("demo", options)) == 0
    assert "runs with 1 instead of 2 actors" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_preprocess_refuses_gpus_that_the_cluster_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_listing(tmp_path / "videos.csv", render_videos(tmp_path, ("Normal",), 7_100_000))
    monkeypatch.setattr("exvad.pipeline.preprocess.ray_session", lambda: fake_cluster(num_cpus=2))
    options = [
        "data.kind=manifest", f"data.manifest={tmp_path}/videos.csv", f"run={tmp_path}/run",
        "stages.vision.gpus=1",
    ]  # fmt: skip
    with pytest.raises(PlacementError, match=r"1 GPU \(stages\.vision\)"):
        preprocess(load_config("demo", options))
