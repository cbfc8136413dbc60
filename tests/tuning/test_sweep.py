"""The sweep on real Ray Tune, Optuna and MLflow: results, kill -9, Ctrl-C, failures, a server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from exvad.checkpoints.checkpoint import load_checkpoint
from exvad.checkpoints.registry import resolve_checkpoint
from exvad.cli.main import main
from exvad.config import dump_config
from exvad.store.feature_bank import FeatureBank
from tests.helpers.planted import CLASSES, config, plant_run
from tests.helpers.processes import descendants_named, exvad_command, run_exvad, stop
from tests.helpers.ray_sessions import cluster_of_nodes
from tests.helpers.tracking import tracking_server

__all__ = ["tracking_server"]

# MLflow queries its database in a way that SQLAlchemy is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

EPOCHS = 4
WAIT_SECONDS = 240
# In the command line of a process that runs trials.
TRIAL = "ImplicitFunc"
SPACE = """
labels.k: {type: int, low: 0, high: 1}
model.tau: {type: float, low: 0.05, high: 0.2, log: true}
train.learning_rate: {type: float, low: 1.0e-3, high: 4.0e-3, log: true}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with planted features and labels in `run`, a search space and a preset."""
    folder = tmp_path_factory.mktemp("sweep")
    plant_run(folder, videos=40, validation=0.4, phrases=1)
    (folder / "space.yaml").write_text(SPACE)
    preset = config(f"run={folder}/run", "labels.k=1", f"train.epochs={EPOCHS}")
    (folder / "preset.yaml").write_text(dump_config(preset))
    return folder


def copy_run(folder: Path, target: Path) -> None:
    """Copy the run and its space, without the sweeps that other tests made in it."""
    shutil.copytree(folder / "run", target / "run", ignore=shutil.ignore_patterns("sweep*", "ml*"))
    shutil.copy(folder / "space.yaml", target)
    preset = config(f"run={target}/run", "labels.k=1", f"train.epochs={EPOCHS}")
    (target / "preset.yaml").write_text(dump_config(preset))


def arguments(folder: Path, *more: str) -> list[str]:
    """Return the arguments of a sweep over a folder; the preset and the space are relative."""
    return ["sweep", "--preset", "preset.yaml", "--space", "space.yaml", *more]


def sweep(folder: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a sweep in its folder and check that it succeeds."""
    finished = run_exvad(*arguments(folder, *more), folder=folder, environment=environment)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished


def start_sweep(folder: Path, *more: str, **environment: str) -> subprocess.Popen[str]:
    """Start a sweep in its folder."""
    return subprocess.Popen(
        exvad_command(*arguments(folder, *more)),
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def mlflow_runs(uri: str) -> list[Any]:
    """Return all runs of the sweeps' experiment."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("exvad")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def trial_runs(folder: Path) -> list[Any]:
    """Return the MLflow runs of the trials."""
    runs = mlflow_runs(f"sqlite:///{folder}/run/mlflow.db")
    return [run for run in runs if "mlflow.parentRunId" in run.data.tags]


def result_lines(folder: Path) -> dict[str, int]:
    """Return trial → number of epochs that it has reported."""
    reports = (folder / "run/sweep1").glob("*/result.json") if folder.exists() else ()
    return {path.parent.name: len(path.read_text().splitlines()) for path in reports}


def wait_for_epochs(folder: Path, count: int) -> None:
    """Wait until the trials have reported a number of epochs."""
    deadline = time.monotonic() + WAIT_SECONDS
    while sum(result_lines(folder).values()) < count:
        assert time.monotonic() < deadline, "the trials reported too few epochs"
        time.sleep(0.1)


def epochs_reported(folder: Path, trial: str) -> list[float]:
    """Return the epochs that a trial has reported, in order."""
    lines = (folder / "run/sweep1" / trial / "result.json").read_text().splitlines()
    return [json.loads(line)["epoch"] for line in lines]


def wait_for_trials(folder: Path, count: int) -> list[str]:
    """Wait until a number of trials have reported their last epoch; return their names."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        ended = [name for name, lines in result_lines(folder).items() if lines == EPOCHS]
        if len(ended) >= count:
            return ended
        assert time.monotonic() < deadline, "too few trials ended"
        time.sleep(0.1)


def logged_epochs(folder: Path) -> dict[str, list[int]]:
    """Return MLflow run → the epochs of its curve."""
    client = MlflowClient(f"sqlite:///{folder}/run/mlflow.db")
    return {
        run.info.run_id: [
            metric.step for metric in client.get_metric_history(run.info.run_id, "val_auc")
        ]
        for run in trial_runs(folder)
    }


@pytest.mark.slow
def test_sweep_with_a_relative_preset_writes_page_runs_and_champion(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--trials", "4", "--confirm", "2")
    finished = sweep(folder, *options)
    assert "4 trials: " in finished.stderr
    assert ", 0 failed" in finished.stderr
    swept = folder / "run/sweep1"
    assert "<polyline" in (swept / "sweep.html").read_text()
    uri = f"sqlite:///{folder}/run/mlflow.db"
    champion = load_checkpoint(resolve_checkpoint("models:/exvad@champion", uri))
    assert champion.name == load_checkpoint(swept / "checkpoint").name
    assert champion.name == load_checkpoint(resolve_checkpoint("models:/exvad/1", uri)).name
    with pytest.raises(ValueError, match="not found"):
        resolve_checkpoint("models:/exvad@nobody", uri)
    runs = mlflow_runs(uri)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    assert len(runs) == 5
    assert parents[0].data.tags["exvad.preset"] == "preset.yaml"
    assert resolve_checkpoint(parents[0].info.run_id, uri).is_dir()

    monkeypatch.chdir(folder)
    assert main(arguments(folder, "--resume", *options, "--trials", "5")) == 2
    assert "was started with another trials" in capsys.readouterr().err
    assert main(arguments(folder, "--resume", *options, "train.epochs=5")) == 2
    assert "was started with another configuration" in capsys.readouterr().err


@pytest.mark.slow
def test_killed_sweep_resumes_without_repeating_ended_trials(folder: Path, tmp_path: Path) -> None:
    copy_run(folder, tmp_path)
    options = ("--trials", "8", "--search", "random", "--no-early-stop", "tune.cpus=2")
    with start_sweep(tmp_path, *options) as process:
        ended = wait_for_trials(tmp_path, 2)
        stop(process, gently=False)
    finished = sweep(tmp_path, "--resume", *options)
    assert not (tmp_path / "run/sweep2").exists()
    assert "8 trials:" in finished.stderr
    assert len(result_lines(tmp_path)) == 8
    for trial in ended:
        # Ray Tune may not have saved that the trial ended: it then reports its result once more.
        assert epochs_reported(tmp_path, trial)[:EPOCHS] == [1, 2, 3, 4]
        assert set(epochs_reported(tmp_path, trial)[EPOCHS:]) <= {4}
    assert list(logged_epochs(tmp_path).values()) == [[1, 2, 3, 4]] * 8


@pytest.mark.slow
def test_one_command_starts_a_sweep_continues_it_and_starts_the_next(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy_run(folder, tmp_path)
    options = ("--resume-or-start", "--trials", "4", "--search", "random", "--no-early-stop")
    with start_sweep(tmp_path, *options) as process:
        wait_for_trials(tmp_path, 1)
        stop(process, gently=False)
    monkeypatch.chdir(tmp_path)
    assert main(arguments(tmp_path, *options, "train.epochs=5")) == 2
    assert "sweep1 was started with another configuration: give the same" in capsys.readouterr().err
    finished = sweep(tmp_path, *options)
    assert "4 trials:" in finished.stderr
    assert len(result_lines(tmp_path)) == 4
    assert not (tmp_path / "run/sweep2").exists()
    summary = json.loads((tmp_path / "run/sweep1/summary.json").read_text())
    assert set(summary["winner"]) == {"labels.k", "model.tau", "train.learning_rate"}
    assert summary["trials"] == 4

    with start_sweep(tmp_path, *options) as process:
        deadline = time.monotonic() + WAIT_SECONDS
        while not (tmp_path / "run/sweep2").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        stop(process, gently=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of Ray itself
def test_driver_of_a_sweep_never_holds_features(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy_run(folder, tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the driver holds features")

    monkeypatch.setattr(FeatureBank, "build", refuse)
    monkeypatch.setattr(FeatureBank, "__setstate__", refuse, raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(arguments(tmp_path, "--trials", "2", "--search", "random")) == 0
    written = capsys.readouterr().err
    assert "reading the features: 40 of 40" in written
    assert "trials: 2 of 2 in" in written
    assert "confirming: 3 of 3 in" in written
    assert load_checkpoint(tmp_path / "run/sweep1/checkpoint").domain is not None


@pytest.mark.slow
def test_trials_that_diverge_or_run_out_of_memory_fail_alone(folder: Path, tmp_path: Path) -> None:
    copy_run(folder, tmp_path)
    (tmp_path / "space.yaml").write_text(
        "train.learning_rate: {type: choice, values: [0.002, 1.0e+30]}\n"
        "model.max_snippets: {type: choice, values: [256, 2000000000]}\n"
    )
    finished = sweep(tmp_path, "--search", "grid")
    assert "4 trials: 0 stopped early, 3 failed" in finished.stderr
    assert "4 of 4 trials · 0 running · 3 failed" in finished.stderr
    assert "Traceback" not in finished.stderr
    failed = [run for run in trial_runs(tmp_path) if run.info.status == "FAILED"]
    errors = sorted(run.data.tags["exvad.error"] for run in failed)
    assert len(errors) == 3
    assert sum("lower train.learning_rate" in error for error in errors) == 1
    assert sum("memory" in error for error in errors) == 2
    page = (tmp_path / "run/sweep1/sweep.html").read_text()
    assert "Failed trials" in page
    assert page.count("memory") >= 2


@pytest.mark.slow
def test_lost_process_and_lost_node_cost_no_trial(folder: Path, tmp_path: Path) -> None:
    copy_run(folder, tmp_path)
    epochs = 60
    options = ("--trials", "4", "--search", "random", "--no-early-stop", f"train.epochs={epochs}")
    with (
        cluster_of_nodes(1, 1) as cluster,
        start_sweep(tmp_path, *options, RAY_ADDRESS=cluster.address) as process,
    ):
        wait_for_epochs(tmp_path, 1)
        raylets = [node.all_processes["raylet"][0].process for node in cluster.worker_nodes]
        trials = [trial for raylet in raylets for trial in descendants_named(raylet, TRIAL)]
        trials[0].kill()
        wait_for_epochs(tmp_path, 2 * epochs)
        lost = next(raylet for raylet in raylets if descendants_named(raylet, TRIAL))
        lost.kill()
        _, output = process.communicate(timeout=280)
    assert process.returncode == 0, output
    assert "4 trials: 0 stopped early, 0 failed" in output
    assert "Traceback" not in output
    assert {run.info.status for run in trial_runs(tmp_path)} == {"FINISHED"}
    assert list(logged_epochs(tmp_path).values()) == [list(range(1, epochs + 1))] * 4


@pytest.mark.slow
def test_nodes_lost_before_the_first_report_cost_no_trial(folder: Path, tmp_path: Path) -> None:
    """At first all nodes of trials are lost, and with them the only copy of the features."""
    copy_run(folder, tmp_path)
    options = ("--trials", "3", "--search", "random", "--no-early-stop")
    with (
        cluster_of_nodes(1, 1) as cluster,
        start_sweep(tmp_path, *options, RAY_ADDRESS=cluster.address) as process,
    ):
        for lost in (2, 1):
            kill_nodes_of_starting_trials(cluster, lost)
            assert not sum(result_lines(tmp_path).values()), "a trial had reported"
            for _ in range(lost):
                cluster.add_node(num_cpus=1)
        _, output = process.communicate(timeout=280)
    assert process.returncode == 0, output
    assert "3 trials: 0 stopped early, 0 failed" in output
    assert "Traceback" not in output
    assert list(logged_epochs(tmp_path).values()) == [[1, 2, 3, 4]] * 3


def kill_nodes_of_starting_trials(cluster: Any, count: int) -> None:
    """Wait until a number of nodes have a process of a trial, and kill these nodes at once."""
    deadline = time.monotonic() + WAIT_SECONDS
    starting: list[Any] = []
    while len(starting) < count:
        assert time.monotonic() < deadline, "no trial started"
        starting = [
            node
            for node in cluster.worker_nodes
            if descendants_named(node.all_processes["raylet"][0].process, TRIAL)
        ]
    for node in starting[:count]:
        cluster.remove_node(node, allow_graceful=False)


@pytest.mark.slow
def test_ctrl_c_ends_with_the_results_so_far_and_resume_continues(
    folder: Path, tmp_path: Path
) -> None:
    copy_run(folder, tmp_path)
    options = ("--trials", "6", "--search", "random", "--no-early-stop", "train.epochs=40")
    with start_sweep(tmp_path, *options) as process:
        wait_for_epochs(tmp_path, 81)
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=120)
    assert process.returncode == 130, output
    text = " ".join(output.split())
    assert "Stopped after" in text
    assert "of 6 trials; the best so far reached" in text
    assert "stopped; resume with: exvad sweep --resume --preset preset.yaml" in text
    assert "Traceback" not in text
    assert "Stopped after" in (tmp_path / "run/sweep1/sweep.html").read_text()
    statuses = {run.info.status for run in trial_runs(tmp_path)}
    assert "FINISHED" in statuses
    assert statuses <= {"FINISHED", "KILLED"}
    finished = sweep(tmp_path, "--resume", *options)
    assert "6 trials:" in finished.stderr
    # The runs of the interrupted sweep and of the whole one.
    for epochs in logged_epochs(tmp_path).values():
        assert epochs == list(range(1, len(epochs) + 1))


@pytest.mark.slow
def test_sweep_logs_everything_to_a_tracking_server(folder: Path, tracking_server: str) -> None:
    sweep(folder, "--trials", "2", "--search", "nsga2", MLFLOW_TRACKING_URI=tracking_server)
    checkpoint = resolve_checkpoint("models:/exvad@champion", tracking_server)
    assert load_checkpoint(checkpoint).labels.classes == CLASSES
