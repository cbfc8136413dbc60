"""The train job on real Ray Train: a kill -9 changes nothing, and two workers train together."""

from __future__ import annotations

import json
import logging
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import ray
from safetensors.numpy import load_file

from exvad.config import load_config
from exvad.laam.run_labels import import_labels
from exvad.pipeline.session import ray_output_hidden
from exvad.pipeline.train import worker_cpus
from tests.helpers.planted import CLASSES, plant_run
from tests.helpers.processes import descendants_named, exvad_command, run_exvad, stop
from tests.helpers.ray_sessions import cluster_of_nodes

EPOCHS = 12

pytestmark = pytest.mark.slow


def make_run(folder: Path) -> list[str]:
    """Put planted features and labels into a run; return the arguments that train on them."""
    plant_run(folder, videos=60, validation=0.3)
    return [
        "train", f"run={folder}/run", "model.text=none", "labels.k=0", f"train.epochs={EPOCHS}",
        "train.batch_size=8", "train.milestones=[5]",
    ]  # fmt: skip


def train(arguments: list[str]) -> None:
    """Train to the end."""
    finished = run_exvad(*arguments)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def history(folder: Path) -> list[dict[str, float]]:
    """Return the metrics of every epoch of a run."""
    metrics = json.loads((folder / "run/checkpoint/metrics.json").read_text())
    epochs: list[dict[str, float]] = metrics["history"]
    return epochs


def wait_for_first_epoch(folder: Path) -> None:
    """Wait until Ray Train has saved the state after an epoch."""
    deadline = time.monotonic() + 200
    while not (folder / "run/train/checkpoint_manager_snapshot.json").exists():
        assert time.monotonic() < deadline, "no epoch was saved"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training to the end without a fault."""
    folder = tmp_path_factory.mktemp("undisturbed")
    train(make_run(folder))
    return folder


def test_train_resumes_after_a_kill_and_ends_as_an_undisturbed_training(
    undisturbed: Path, tmp_path: Path
) -> None:
    arguments = make_run(tmp_path)
    with subprocess.Popen(
        exvad_command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait_for_first_epoch(tmp_path)
        stop(process, gently=False)
    assert not (tmp_path / "run/checkpoint").exists()
    train(arguments)
    assert history(tmp_path) == history(undisturbed)
    epochs = [metrics["epoch"] for metrics in history(tmp_path)]
    assert epochs == list(range(1, EPOCHS + 1))
    expected, weights = (
        load_file(folder / "run/checkpoint/model.safetensors") for folder in (undisturbed, tmp_path)
    )
    assert all(np.array_equal(expected[name], weights[name]) for name in expected)


def test_train_starts_over_after_other_labels_were_imported(tmp_path: Path) -> None:
    arguments = [*make_run(tmp_path), "train.epochs=2"]
    train(arguments)
    before = history(tmp_path)
    config = load_config("demo", [f"run={tmp_path}/run"])
    with np.load(tmp_path / "labels.npz") as labels:
        np.savez(tmp_path / "other.npz", allow_pickle=False, **{k: labels[k] + 1 for k in labels})
    import_labels(tmp_path / "other.npz", CLASSES, config)
    train(arguments)
    assert history(tmp_path) != before


def test_lost_worker_is_replaced_and_the_training_ends_as_an_undisturbed_one(
    undisturbed: Path, tmp_path: Path
) -> None:
    with subprocess.Popen(
        exvad_command(*make_run(tmp_path)), stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for_first_epoch(tmp_path)
        workers = descendants_named(process, "RayTrainWorker")
        assert workers
        workers[0].kill()
        _, messages = process.communicate(timeout=280)
    assert process.returncode == 0, messages
    assert history(tmp_path) == history(undisturbed)


def test_training_that_diverges_ends_in_a_sentence(tmp_path: Path) -> None:
    finished = run_exvad(*make_run(tmp_path), "train.learning_rate=1e30", "train.max_failures=0")
    assert finished.returncode == 2
    assert "lower train.learning_rate" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_train_runs_on_two_workers(tmp_path: Path) -> None:
    train([*make_run(tmp_path), "train.workers=2", "train.epochs=3"])
    losses = [metrics["total"] for metrics in history(tmp_path)]
    assert len(losses) == 3
    assert losses[-1] < losses[0]


def test_worker_takes_all_cores_of_the_only_node_that_computes() -> None:
    config = load_config("demo", ["train.cpus_per_worker=0"]).train
    with cluster_of_nodes(4) as cluster:
        with ray_output_hidden():
            ray.init(cluster.address, logging_level=logging.ERROR, log_to_driver=False)
        try:
            assert worker_cpus(config) == 4
            assert worker_cpus(config.model_copy(update={"workers": 2})) == 2
            assert worker_cpus(config.model_copy(update={"cpus_per_worker": 3})) == 3
            cluster.add_node(num_cpus=4)
            cluster.wait_for_nodes()
            assert worker_cpus(config) == 1
        finally:
            ray.shutdown()
