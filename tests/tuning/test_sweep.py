"""The sweep for real: Ray Tune, Optuna, MLflow with a server, kill -9, and the registry."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from exvad.checkpoints.checkpoint import load_checkpoint
from exvad.checkpoints.registry import resolve_checkpoint
from exvad.tuning.space import Dimension, IntRange
from exvad.tuning.sweep import load_data
from tests.helpers.planted import CLASSES, config, plant_run
from tests.helpers.processes import stop

# MLflow asks its database in a way that SQLAlchemy is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

ROOT = Path(__file__).resolve().parents[2]
SPACE = """
labels.k: {type: int, low: 0, high: 1}
model.tau: {type: float, low: 0.05, high: 0.2, log: true}
train.learning_rate: {type: float, low: 1.0e-3, high: 4.0e-3, log: true}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with planted features and imported labels: no encoder is needed."""
    folder = tmp_path_factory.mktemp("sweep")
    plant_run(folder, videos=40, validation=0.4, phrases=1)
    (folder / "space.yaml").write_text(SPACE)
    return folder


def copy_run(run: Path, folder: Path) -> None:
    """Copy the run and its space, without the sweeps that were made in it."""
    shutil.copytree(run / "run", folder / "run", ignore=shutil.ignore_patterns("sweep*", "ml*"))
    shutil.copy(run / "space.yaml", folder)


def command(run: Path, *more: str) -> list[str]:
    return [
        sys.executable, "tune/sweep.py", "--preset", "demo", f"run={run}/run", "model.text=none",
        "train.epochs=4", "train.batch_size=16", "--space", str(run / "space.yaml"), *more,
    ]  # fmt: skip


def sweep(run: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(run, *more),
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_a_sweep_leaves_page_runs_and_champion(run: Path) -> None:
    finished = sweep(run, "--trials", "4", "--confirm", "2")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    folder = run / "run/sweep1"
    assert "<polyline" in (folder / "sweep.html").read_text()
    uri = f"sqlite:///{run}/run/mlflow.db"
    champion = load_checkpoint(resolve_checkpoint("models:/exvad@champion", uri))
    assert champion.name == load_checkpoint(folder / "checkpoint").name
    assert champion.name == load_checkpoint(resolve_checkpoint("models:/exvad/1", uri)).name
    with pytest.raises(ValueError, match="not found"):
        resolve_checkpoint("models:/exvad@nobody", uri)

    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("exvad")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [each for each in runs if "mlflow.parentRunId" not in each.data.tags]
    assert len(parents) == 1
    assert len(runs) == 5
    assert json.loads(json.dumps(parents[0].data.tags))["exvad.preset"] == "demo"
    assert resolve_checkpoint(parents[0].info.run_id, uri).is_dir()
    with pytest.raises(ValueError, match="another trials"):
        raise ValueError(sweep(run, "--resume", "--trials", "5", "--confirm", "2").stderr)


def test_more_phrases_than_there_are_cannot_be_drawn(run: Path) -> None:
    space: dict[str, Dimension] = {"labels.k": IntRange(type="int", low=1, high=2)}
    with pytest.raises(ValueError, match="up to 2, but a class has only 1 phrases"):
        load_data(config(f"run={run}/run"), space)


@pytest.mark.slow
def test_a_killed_sweep_goes_on_without_repeating_what_ended(run: Path, tmp_path: Path) -> None:
    copy_run(run, tmp_path)
    with subprocess.Popen(
        command(tmp_path, "--trials", "8", "--search", "random", "tune.cpus=2"),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        for _ in range(600):
            ended = list((tmp_path / "run/sweep1").glob("trial_*/result.json"))
            if sum(len(path.read_text().splitlines()) == 4 for path in ended) >= 2:
                break
            time.sleep(0.1)
        stop(process, gently=False)
    before = {path.parent.name: path.stat().st_mtime_ns for path in ended
              if len(path.read_text().splitlines()) == 4}  # fmt: skip
    assert before
    finished = sweep(tmp_path, "--resume", "--trials", "8", "--search", "random", "tune.cpus=2")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "8 trials:" in finished.stderr
    results = {
        path.parent.name: path for path in (tmp_path / "run/sweep1").glob("trial_*/result.json")
    }
    assert len(results) == 8
    assert {name: results[name].stat().st_mtime_ns for name in before} == before


@pytest.mark.slow
def test_trials_that_diverge_or_need_too_much_memory_cost_only_themselves(
    run: Path, tmp_path: Path
) -> None:
    copy_run(run, tmp_path)
    (tmp_path / "space.yaml").write_text(
        "train.learning_rate: {type: choice, values: [0.002, 1.0e+30]}\n"
        "model.max_snippets: {type: choice, values: [256, 2000000000]}\n"
    )
    finished = sweep(tmp_path, "--search", "grid")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "4 trials: 0 stopped early, 3 failed" in finished.stderr
    assert "4 of 4 trials · 0 running · 3 failed" in finished.stderr
    assert "Traceback" not in finished.stderr
    failed = [each for each in children(tmp_path) if each.info.status == "FAILED"]
    errors = sorted(each.data.tags["exvad.error"] for each in failed)
    assert len(errors) == 3
    assert sum("lower train.learning_rate" in error for error in errors) == 1
    assert sum("memory" in error for error in errors) == 2
    page = (tmp_path / "run/sweep1/sweep.html").read_text()
    assert "Failed trials" in page
    assert page.count("memory") >= 2


@pytest.mark.slow
def test_a_trial_whose_process_is_killed_is_recorded_and_the_sweep_goes_on(
    run: Path, tmp_path: Path
) -> None:
    copy_run(run, tmp_path)
    many = ("--trials", "4", "--search", "random", "--no-early-stop", "train.epochs=300")
    with subprocess.Popen(
        command(tmp_path, *many), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        wait_for_results(tmp_path, 1)
        victims = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "ImplicitFunc" in " ".join(child.cmdline())
        ]
        assert victims
        victims[0].kill()
        _, said = process.communicate(timeout=280)
    assert process.returncode == 0, said.decode()
    assert b"1 failed" in said
    (failed,) = (each for each in children(tmp_path) if each.info.status == "FAILED")
    assert "its process died" in failed.data.tags["exvad.error"]


@pytest.mark.slow
def test_ctrl_c_ends_with_what_is_known_and_resume_goes_on(run: Path, tmp_path: Path) -> None:
    copy_run(run, tmp_path)
    many = ("--trials", "6", "--search", "random", "--no-early-stop", "train.epochs=100")
    with subprocess.Popen(
        command(tmp_path, *many), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        wait_for_results(tmp_path, 201)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said.decode()
    text = " ".join(said.decode().split())
    assert "Stopped after" in text
    assert "of 6 trials; the best so far reached" in text
    assert "go on with: python tune/sweep.py --resume --preset demo" in text
    assert "Traceback" not in text
    assert "Stopped after" in (tmp_path / "run/sweep1/sweep.html").read_text()
    statuses = {each.info.status for each in children(tmp_path)}
    assert "FINISHED" in statuses
    assert statuses <= {"FINISHED", "KILLED"}
    finished = sweep(tmp_path, "--resume", *many)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "6 trials:" in finished.stderr


def wait_for_results(folder: Path, lines: int) -> None:
    """Wait until the trials have reported so many epochs."""
    for _ in range(900):
        reported = (folder / "run/sweep1").glob("trial_*/result.json")
        if sum(len(path.read_text().splitlines()) for path in reported) >= lines:
            return
        time.sleep(0.1)
    raise AssertionError("the trials reported nothing")


def children(folder: Path) -> list[Any]:
    """The trials' runs in MLflow."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/run/mlflow.db")
    experiment = client.get_experiment_by_name("exvad")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return [each for each in runs if "mlflow.parentRunId" in each.data.tags]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "mlflow", "server", "--port", str(port),
                "--backend-store-uri", f"sqlite:///{tmp_path}/server.db",
                "--artifacts-destination", str(tmp_path / "artifacts"), "--workers", "1",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        for _ in range(120):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(process)


@pytest.mark.slow
def test_a_real_tracking_server_gets_everything(run: Path, server: str) -> None:
    finished = sweep(run, "--trials", "2", "--search", "nsga2", MLFLOW_TRACKING_URI=server)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    folder = resolve_checkpoint("models:/exvad@champion", server)
    assert load_checkpoint(folder).labels.classes == CLASSES
