"""The train job for real: Ray Train, MLflow, and going on after kill -9 as if nothing was."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from exvad.data.import_features import import_visual
from exvad.data.manifest import Manifest, Video
from exvad.data.store import Store
from exvad.label_vectors import import_labels
from tests.planted import CLASSES, WIDTH, config, directions
from tests.processes import stop

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 12

pytestmark = pytest.mark.slow


def make_run(folder: Path) -> list[str]:
    """Put planted features and labels into a run; return the command that trains on them."""
    rng, class_CD, videos = np.random.default_rng(0), directions(), []
    (folder / "in").mkdir(parents=True)
    for number in range(60):
        label = number % len(CLASSES)
        visual = rng.normal(size=(20, WIDTH)).astype(np.float32) + class_CD[0]
        if label:
            visual[5:12] += 3 * class_CD[label]
        np.save(folder / "in" / f"v{number}.npy", visual)
        videos.append(Video(f"v{number}", "x.mp4", "train", (CLASSES[label],)))
    manifest = Manifest(CLASSES, tuple(videos)).with_validation(0.3, 0)
    settings = config(f"run={folder}/run")
    import_visual(folder / "in", manifest, Store(settings.store_path), 16)
    manifest.write(str(folder / "run/manifest.parquet"))
    rows: dict[str, Any] = {label: own[None] for label, own in zip(CLASSES, class_CD, strict=True)}
    np.savez(folder / "labels.npz", **rows)
    import_labels(folder / "labels.npz", CLASSES, settings)
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
