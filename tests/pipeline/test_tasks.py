"""One-off work of a job runs where the resources are, and is done again if it is lost."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from exvad.config import load_config
from exvad.pipeline.placement import Demand, PlacementError
from exvad.pipeline.tasks import run_task, with_tracking_store
from tests.helpers.planted import plant_run
from tests.helpers.processes import ROOT, run_exvad
from tests.helpers.ray_sessions import cluster_of_nodes

ONE_CORE = Demand("process", "train.gpu", 1, 0)

# The functions of the tests are part of this module, which the nodes can import.


def amount_reserved() -> float:
    return float(ray.get_runtime_context().get_assigned_resources()["CPU"])


def refuse() -> None:
    raise ValueError("there is no checkpoint")


def die_once(marker: Path) -> int:
    """Kill this process at the first call; return its number at the second."""
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a cluster whose head has no cores."""
    with cluster_of_nodes(1) as cluster:
        yield cluster.address


def test_without_a_cluster_the_function_is_called_here(tmp_path: Path) -> None:
    (tmp_path / "marker").touch()
    config = load_config("demo", [f"run={tmp_path}"])
    assert run_task("a step", ONE_CORE, config, die_once, tmp_path / "marker") == os.getpid()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of Ray Data itself
def test_on_a_cluster_the_function_is_a_task_with_resources(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    config = load_config("demo", [f"run={tmp_path}"])

    def on_cluster(function: Any, *arguments: Any) -> Any:
        return run_task("a step", ONE_CORE, config, function, *arguments)

    assert on_cluster(amount_reserved) == 1
    assert on_cluster(die_once, tmp_path / "marker") != os.getpid()
    with pytest.raises(ValueError, match=r"^there is no checkpoint$"):
        on_cluster(refuse)
    with pytest.raises(PlacementError, match="no node of the cluster is that large"):
        run_task("a step", Demand("process", "train.gpu", 1, 1), config, refuse)


def test_with_tracking_store_names_what_only_this_process_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def named(*overrides: str) -> str:
        return with_tracking_store(load_config("demo", overrides)).mlflow.uri

    assert named("run=run") == f"sqlite:///{tmp_path}/run/mlflow.db"
    assert named("run=s3://bucket/run") == ""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db")
    assert named("run=s3://bucket/run") == f"sqlite:///{tmp_path}/mine.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:5000")
    assert named() == "http://tracking.example:5000"


@pytest.mark.slow
def test_evaluation_on_a_cluster_finds_an_mlflow_run_by_the_variables_of_its_command(
    address: str, tmp_path: Path
) -> None:
    run = plant_run(tmp_path, videos=40, validation=0.3, tests=8)
    settings = [f"run={run}", "model.text=none", "labels.k=0", "train.epochs=1"]
    tracking = {"MLFLOW_TRACKING_URI": "sqlite:///mine.db"}
    trained = run_exvad("train", *settings, folder=tmp_path, environment=tracking)
    assert trained.returncode == 0, trained.stderr
    match = re.search(r"MLflow run (\w{32})", trained.stderr)
    assert match is not None
    finished = run_exvad(
        "evaluate", *settings, "--resamples", "0", "--checkpoint", match[1],
        folder=tmp_path,
        environment={**tracking, "RAY_ADDRESS": address, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr


@pytest.mark.slow
def test_evaluation_on_a_cluster_gives_the_results_of_one_machine(
    address: str, tmp_path: Path
) -> None:
    run = plant_run(tmp_path, videos=40, validation=0.3, tests=8)
    settings = [f"run={run}", "model.text=none", "labels.k=0", "train.epochs=2"]
    trained = run_exvad("train", *settings)
    assert trained.returncode == 0, trained.stderr
    results = []
    for environment in ({}, {"RAY_ADDRESS": address}):
        finished = run_exvad("evaluate", *settings, environment=environment)
        assert finished.returncode == 0, finished.stderr
        results.append([(run / name).read_bytes() for name in ("summary.json", "analyses.jsonl")])
    assert results[0] == results[1]
