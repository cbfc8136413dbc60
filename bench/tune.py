"""A sweep of sixteen short trials, compared with the same trainings in one process.

The benchmark renders and preprocesses a small demo world first. The sweep is the real command; the
reports of each trial, whose times are whole seconds, show when it began and when it ended.

    python -m bench.tune [--quick]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench._harness import ROOT, emit, make_features
from exvad.config import Config, load_config, override_config
from exvad.tuning.inputs import SweepInputs, load_bank
from exvad.tuning.trial import train_once

CONCURRENCY = 2
TRIALS = 16
EPOCHS = 30
SPACE = "model.tau: {type: float, low: 0.05, high: 0.2, log: true}\n"
GOALS = {
    "tune_over_bare_once_up": ("<=", 1.3),
    "first_trial_seconds": ("<=", 5),
}


@dataclass(frozen=True)
class SweepTimes:
    """When what happened in a sweep, in seconds after its command was given.

    Args:
        begun: the start of each trial, in order.
        reported: the last report of each trial, in order.
        drawn: the drawn settings of each trial.
    """

    begun: list[float]
    reported: list[float]
    drawn: list[dict[str, Any]]


def prepare(folder: Path, epochs: int) -> Config:
    """Make a run with features and labels; return its configuration."""
    overrides = [
        "data.world.train_videos=60", "data.world.test_videos=4", "data.world.seed=5",
        f"run={folder}/run", f"data.root={folder}/videos", f"train.epochs={epochs}",
        f"train.milestones=[{epochs // 2}]",
    ]  # fmt: skip
    make_features(overrides)
    (folder / "space.yaml").write_text(SPACE)
    config = load_config("demo", overrides)
    (folder / "preset.yaml").write_text(json.dumps(config.model_dump(mode="json", by_alias=True)))
    return config


def time_sweep(folder: Path, count: int) -> SweepTimes:
    """Run a sweep of a number of trials; return its times."""
    command = [
        sys.executable, "-m", "exvad.cli", "sweep", "--preset", str(folder / "preset.yaml"),
        "--space", str(folder / "space.yaml"), "--search", "random", "--no-early-stop",
        "--trials", str(count), "--confirm", "1",
    ]  # fmt: skip
    start = time.time()
    subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=True)
    begun, reported, drawn = [], [], []
    for file in (folder / "run/sweep1").glob("*/result.json"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        begun.append(rows[0]["timestamp"] - rows[0]["time_total_s"] - start)
        reported.append(rows[-1]["timestamp"] - start)
        drawn.append(json.loads(file.with_name("params.json").read_text()))
    return SweepTimes(sorted(begun), sorted(reported), drawn)


def time_trainings(config: Config, settings: list[dict[str, Any]]) -> float:
    """Return the seconds of trainings in this process, one after another."""
    inputs = SweepInputs.find(config, {})
    shared = load_bank(inputs, config), inputs.manifest, inputs.labels
    torch.set_num_threads(1)
    start = time.monotonic()
    for drawn in settings:
        train_once(override_config(config, drawn), *shared)
    return time.monotonic() - start


def main() -> None:
    """Measure and print one line of JSON."""
    os.environ["OMP_NUM_THREADS"] = "1"
    quick = "--quick" in sys.argv[1:]
    count, epochs = (4, 2) if quick else (TRIALS, EPOCHS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = prepare(folder, epochs)
        times = time_sweep(folder, count)
        bare = time_trainings(config, times.drawn)
    up = times.reported[-1] - times.begun[CONCURRENCY - 1]
    metrics = {
        "bare_seconds_per_trial": bare / count,
        "first_trial_seconds": times.begun[0],
        "seconds_once_up": up,
        "tune_over_bare_once_up": up / (bare / CONCURRENCY),
    }
    emit("tune", metrics, GOALS)


if __name__ == "__main__":
    main()
