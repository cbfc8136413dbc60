"""The train job on real Ray Train: a kill -9 changes nothing, and two workers train together."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.helpers.planted import plant_run
from tests.helpers.processes import exvad_command, run_exvad, stop

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


def test_train_resumes_after_a_kill_and_ends_as_an_undisturbed_training(tmp_path: Path) -> None:
    train(make_run(tmp_path / "undisturbed"))
    arguments = make_run(tmp_path / "killed")
    with subprocess.Popen(
        exvad_command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        snapshot = tmp_path / "killed/run/train/checkpoint_manager_snapshot.json"
        for _ in range(900):
            if snapshot.exists():
                break
            time.sleep(0.1)
        stop(process, gently=False)
    assert snapshot.exists()
    assert not (tmp_path / "killed/run/checkpoint").exists()
    train(arguments)
    assert history(tmp_path / "killed") == history(tmp_path / "undisturbed")
    epochs = [metrics["epoch"] for metrics in history(tmp_path / "killed")]
    assert epochs == list(range(1, EPOCHS + 1))
    undisturbed, killed = (
        load_file(tmp_path / name / "run/checkpoint/model.safetensors")
        for name in ("undisturbed", "killed")
    )
    assert all(np.array_equal(undisturbed[name], killed[name]) for name in undisturbed)


def test_train_runs_on_two_workers(tmp_path: Path) -> None:
    train([*make_run(tmp_path), "train.workers=2", "train.epochs=3"])
    losses = [metrics["total"] for metrics in history(tmp_path)]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
