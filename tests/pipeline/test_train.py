"""The train job for real: Ray Train, MLflow, and going on after kill -9 as if nothing was."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.helpers.planted import plant_run
from tests.helpers.processes import stop

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 12

pytestmark = pytest.mark.slow


def make_run(folder: Path) -> list[str]:
    """Put planted features and labels into a run; return the command that trains on them."""
    plant_run(folder, videos=60, validation=0.3)
    return [
        sys.executable, "jobs/train.py", "--preset", "demo", f"run={folder}/run",
        "model.text=none", "labels.k=0", f"train.epochs={EPOCHS}", "train.batch_size=8",
        "train.milestones=[5]",
    ]  # fmt: skip


def train(command: list[str]) -> None:
    finished = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def history(folder: Path) -> list[dict[str, float]]:
    metrics = json.loads((folder / "run/checkpoint/metrics.json").read_text())
    rows: list[dict[str, float]] = metrics["history"]
    return rows


def test_a_killed_training_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = make_run(tmp_path / "a")
    train(undisturbed)
    killed = make_run(tmp_path / "b")
    with subprocess.Popen(
        killed, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        snapshot = tmp_path / "b/run/train/checkpoint_manager_snapshot.json"
        for _ in range(900):
            if snapshot.exists():
                break
            time.sleep(0.1)
        stop(process, gently=False)
    assert snapshot.exists()
    assert not (tmp_path / "b/run/checkpoint").exists()
    train(killed)
    assert history(tmp_path / "b") == history(tmp_path / "a")
    assert [row["epoch"] for row in history(tmp_path / "b")] == list(range(1, EPOCHS + 1))
    one, other = (
        load_file(tmp_path / name / "run/checkpoint/model.safetensors") for name in ("a", "b")
    )
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_two_workers_train_together(tmp_path: Path) -> None:
    command = make_run(tmp_path)
    train([*command, "train.workers=2", "train.epochs=3"])
    losses = [row["total"] for row in history(tmp_path)]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
