"""Sixteen trials of two epochs with Ray Tune, compared with the same trainings in one process.

The benchmark renders and preprocesses a small demo world first.

    python -m bench.tune [--quick]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from ray import tune

from bench._harness import emit, make_features
from exvad.config import Config, load_config, override_config
from exvad.pipeline.session import ray_session
from exvad.tuning.sweep import load_data
from exvad.tuning.trial import run_trial, train_once

CONCURRENCY = 2
GOALS = {
    "tune_over_bare_by_concurrency": ("<=", 1.3),
    "overhead_seconds_per_trial": ("<", 3),
}


def prepare(folder: Path) -> Config:
    """Make a run with features and labels; return its configuration."""
    overrides = [
        "data.world.train_videos=60", "data.world.test_videos=4", "data.world.seed=5",
        f"run={folder}/run", f"data.root={folder}/videos", "train.epochs=2",
        "train.milestones=[1]",
    ]  # fmt: skip
    make_features(overrides)
    return load_config("demo", overrides)


def draw_settings(count: int) -> list[dict[str, Any]]:
    """Return settings to train with, the same for both ways."""
    return [{"labels.k": 1 + index // 2, "train.seed": index % 2} for index in range(count)]


def time_trainings(config: Config, count: int, shared: dict[str, Any]) -> float:
    """Return the seconds of the trainings in this process, one after another."""
    torch.set_num_threads(1)
    start = time.monotonic()
    for settings in draw_settings(count):
        train_once(override_config(config, settings), **shared)
    return time.monotonic() - start


def time_trials(config: Config, count: int, shared: dict[str, Any], folder: Path) -> float:
    """Return the seconds of the trainings as trials of Ray Tune."""
    settings = draw_settings(count)
    grid = {
        key: tune.grid_search(sorted({drawn[key] for drawn in settings}))
        for key in ("labels.k", "train.seed")
    }
    function = tune.with_parameters(run_trial, config=config, **shared)
    start = time.monotonic()
    tune.Tuner(
        tune.with_resources(function, {"cpu": 1}),
        param_space=grid,
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(name="bench", storage_path=str(folder), verbose=0),
    ).fit()
    return time.monotonic() - start


def main() -> None:
    """Measure and print one line of JSON."""
    os.environ["OMP_NUM_THREADS"] = "1"
    count = 4 if "--quick" in sys.argv[1:] else 16
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = prepare(folder)
        data, labels = load_data(config, {})
        shared = {"bank": data.bank, "manifest": data.manifest, "labels": labels}
        # Ray Tune prints to stdout, which is for the result only.
        with ray_session(), redirect_stdout(sys.stderr):
            first_trials = time_trials(config, 2, shared, folder / "first")
            trainings = time_trainings(config, count, shared)
            trials = time_trials(config, count, shared, folder / "all")
    ideal = trainings / CONCURRENCY
    metrics = {
        "bare_seconds": trainings,
        "tune_seconds": trials,
        "first_two_trials_seconds": first_trials,
        "tune_over_bare_by_concurrency": trials / ideal,
        "overhead_seconds_per_trial": (trials - ideal) / count,
    }
    emit("tune", metrics, GOALS)


if __name__ == "__main__":
    main()
