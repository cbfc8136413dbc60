"""Sixteen two-epoch trials of Ray Tune against the same trainings back to back in one process.

`python bench/tune.py [--quick]` renders and preprocesses a small demo world first.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from _harness import ROOT, emit, make_features  # type: ignore[import-not-found]

CONCURRENCY = 2
GOALS = {
    "tune_over_bare_by_concurrency": ("<=", 1.3),
    "overhead_seconds_per_trial": ("<", 3),
}


def prepare(folder: Path) -> list[str]:
    """Make a run with features and labels; return its overrides."""
    overrides = [
        "data.world.train_videos=60", "data.world.test_videos=4", "data.world.seed=5",
        f"run={folder}/run", f"data.root={folder}/videos", "train.epochs=2",
        "train.milestones=[1]",
    ]  # fmt: skip
    make_features(overrides)
    return overrides


def draws(count: int) -> list[dict[str, Any]]:
    """Return settings to train with, the same for both ways."""
    return [{"labels.k": 1 + n // 2, "train.seed": n % 2} for n in range(count)]


def bare(overrides: list[str], count: int, data: tuple[Any, ...]) -> float:
    """Return the seconds of the trainings in this process."""
    import torch

    from exvad.config import load_config
    from exvad.tuning.trial import drawn_overrides, train_once

    torch.set_num_threads(1)
    begin = time.monotonic()
    for drawn in draws(count):
        train_once(load_config("demo", [*overrides, *drawn_overrides(drawn)]), *data)
    return time.monotonic() - begin


def tuned(overrides: list[str], count: int, data: tuple[Any, ...], folder: Path) -> float:
    """Return the seconds of the trainings as trials, after Ray and its workers are up."""
    from ray import tune

    from exvad.tuning.trial import trial

    bank, manifest, labels = data
    function = tune.with_resources(
        tune.with_parameters(
            trial, preset="demo", overrides=overrides, bank=bank, manifest=manifest, labels=labels
        ),
        {"cpu": 1},
    )
    begin = time.monotonic()
    tune.Tuner(
        function,
        param_space={
            "labels.k": tune.grid_search(sorted({drawn["labels.k"] for drawn in draws(count)})),
            "train.seed": tune.grid_search(sorted({drawn["train.seed"] for drawn in draws(count)})),
        },
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(name="bench", storage_path=str(folder), verbose=0),
    ).fit()
    return time.monotonic() - begin


def main() -> None:
    """Measure and print one JSON line."""
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path.insert(0, str(ROOT))
    count = 4 if "--quick" in sys.argv[1:] else 16
    from exvad.config import load_config
    from exvad.pipeline.session import ray_session
    from exvad.tuning.sweep import load_data

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        overrides = prepare(folder)
        data = load_data(load_config("demo", overrides), {})
        # Ray Tune prints to stdout, where only the result belongs.
        with ray_session(), redirect_stdout(sys.stderr):
            first = tuned(overrides, 2, data, folder / "first")
            alone = bare(overrides, count, data)
            together = tuned(overrides, count, data, folder / "all")
    shared = alone / CONCURRENCY
    figures = {
        "bare_seconds": alone,
        "tune_seconds": together,
        "first_two_trials_seconds": first,
        "tune_over_bare_by_concurrency": together / shared,
        "overhead_seconds_per_trial": (together - shared) / count,
    }
    emit("tune", figures, GOALS)


if __name__ == "__main__":
    main()
