"""The gain of a sweep of 20 trials on the demo's validation videos, and the savings of ASHA.

The same sweep (TPE, the packaged space) runs with and without early stopping, with three seeds of
its sampler. The winner of the first sweep and the preset are then trained again with three seeds
each. No trial uses a test video.

    python -m bench.sweep [--quick]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from ray import tune

from bench._harness import ROOT, emit, make_features
from exvad.cli.main import QUIET
from exvad.config import Config, load_config, override_config
from exvad.data.storage.places import resolve_place
from exvad.pipeline.session import ray_session
from exvad.tuning.confirm import ConfirmedSetting, confirm
from exvad.tuning.inputs import SweepInputs, load_bank
from exvad.tuning.records import TrialRecord, best_first
from exvad.tuning.search import SearchPlan, search
from exvad.tuning.space import read_space
from exvad.tuning.trial import run_trial

SEEDS = 3
GOALS = {
    "map_gain_over_preset": (">", 0.0),
    "epochs_saved_by_early_stopping": (">=", 0.4),
    # A loss below one unit can't be told from another seed of the same setting.
    "best_lost_in_units_of_seed_noise": ("<=", 1.0),
}


def prepare(folder: Path, quick: bool) -> Config:
    """Make a run of the demo preset with features and labels; return its configuration."""
    overrides = [f"run={folder}/run", f"data.root={folder}/videos"]
    if quick:
        overrides += ["data.world.train_videos=60", "data.world.test_videos=4", "train.epochs=4",
                      "train.milestones=[3]"]  # fmt: skip
    make_features(overrides)
    return load_config("demo", overrides)


def measure(folder: Path, config: Config, trials: int) -> dict[str, float]:
    """Run the sweeps and the confirmation; return the metrics."""
    space = read_space(ROOT / "exvad/assets/search_space.yaml", config)
    inputs = SweepInputs.find(config, space)
    bank = load_bank(inputs, config)
    shared: dict[str, Any] = {"bank": bank, "manifest": inputs.manifest, "labels": inputs.labels}
    epochs: dict[bool, list[float]] = {True: [], False: []}
    best: dict[bool, list[TrialRecord]] = {True: [], False: []}
    for seed in range(SEEDS):
        seeded = override_config(config, {"train.seed": seed})
        function = tune.with_parameters(run_trial, config=seeded, **shared)
        for early_stop in (True, False):
            sweep_folder = resolve_place(folder / f"sweep-{seed}-{early_stop}")
            plan = SearchPlan(trials, "tpe", early_stop)
            records = search(function, space, seeded, sweep_folder, plan).records
            epochs[early_stop].append(sum(record.metrics["epoch"] for record in records))
            best[early_stop].append(best_first(records)[0])
    trained = confirm([best[True][0].parameters, {}], SEEDS, config, shared)
    winner = next(setting for setting in trained if setting.parameters)
    preset = next(setting for setting in trained if not setting.parameters)
    lost = [
        full.score - stopped.score for full, stopped in zip(best[False], best[True], strict=True)
    ]
    noise = max(preset.deviation or 0.0, winner.deviation or 0.0)
    metrics = {
        "preset_map": statistics.mean(maps(preset)),
        "preset_map_sd": statistics.stdev(maps(preset)),
        "winner_map": statistics.mean(maps(winner)),
        "winner_map_sd": statistics.stdev(maps(winner)),
        "map_gain_over_preset": statistics.mean(maps(winner)) - statistics.mean(maps(preset)),
        "epochs_saved_by_early_stopping": 1 - sum(epochs[True]) / sum(epochs[False]),
        "best_score_lost": statistics.mean(lost),
        "largest_best_score_lost": max(lost),
        "seed_noise_of_a_setting": noise,
        "best_lost_in_units_of_seed_noise": statistics.mean(lost) / noise if noise else 0.0,
    }
    return {name: float(value) for name, value in metrics.items()}


def maps(setting: ConfirmedSetting) -> list[float]:
    """Return the validation mAP of each seed."""
    return [metrics["val_map"] for metrics in setting.metrics]


def main() -> None:
    """Measure and print one line of JSON."""
    quick = "--quick" in sys.argv[1:]
    for name, value in {**QUIET, "OMP_NUM_THREADS": "1"}.items():
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory() as folder:
        config = prepare(Path(folder), quick)
        # Ray Tune prints to stdout, which is for the result only.
        with ray_session(), redirect_stdout(sys.stderr):
            metrics = measure(Path(folder), config, trials=6 if quick else 20)
    emit("sweep", metrics, GOALS)


if __name__ == "__main__":
    main()
