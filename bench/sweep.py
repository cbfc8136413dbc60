"""What a sweep of 20 trials is worth on the demo's validation videos, and what ASHA saves of it.

The same sweep (TPE, the shipped space) is run with and without early stopping, with three seeds of
its sampler. The winner of the first, and the preset as it is, are trained again with three seeds
each. No trial sees a test video.

    python bench/sweep.py [--quick]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _harness import ROOT, emit, make_features  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from exvad.tuning.confirm import Confirmed

GOALS = {
    "map_gain_over_preset": (">", 0.0),
    "epochs_saved_by_early_stopping": (">=", 0.4),
    # No loss that could be told from another seed of the same setting.
    "best_lost_in_units_of_seed_noise": ("<=", 1.0),
}


def prepare(folder: Path, quick: bool) -> list[str]:
    """Make a run of the demo preset with features and labels; return its overrides."""
    overrides = [f"run={folder}/run", f"data.root={folder}/videos"]
    if quick:
        overrides += ["data.world.train_videos=60", "data.world.test_videos=4", "train.epochs=4",
                      "train.milestones=[3]"]  # fmt: skip
    make_features(overrides)
    return overrides


def main() -> None:
    """Measure and print one JSON line."""
    sys.path.insert(0, str(ROOT))
    quick = "--quick" in sys.argv[1:]
    from exvad.cli.main import QUIET
    from exvad.pipeline.session import ray_session

    for name, value in {**QUIET, "OMP_NUM_THREADS": "1"}.items():
        os.environ.setdefault(name, value)
    with tempfile.TemporaryDirectory() as name:
        overrides = prepare(Path(name), quick)
        # Ray Tune prints to stdout, where only the result belongs.
        with ray_session(), redirect_stdout(sys.stderr):
            figures = measure(Path(name), overrides, trials=6 if quick else 20)
    emit("sweep", figures, GOALS)


def measure(folder: Path, overrides: list[str], trials: int) -> dict[str, float]:
    """Run the sweeps; return the figures."""
    import ray
    from ray import tune

    from exvad.config import load_config
    from exvad.tuning.confirm import confirm
    from exvad.tuning.search import Record, SearchPlan, best_first, search
    from exvad.tuning.space import read_space
    from exvad.tuning.sweep import load_data
    from exvad.tuning.trial import trial

    space = read_space(ROOT / "exvad/assets/search_space.yaml", "demo")
    data, labels = load_data(load_config("demo", overrides), space)
    shared: dict[str, Any] = {"bank": data.bank, "manifest": data.manifest, "labels": labels}
    epochs: dict[bool, list[float]] = {True: [], False: []}
    best: dict[bool, list[Record]] = {True: [], False: []}
    for seed in range(3):
        own = [*overrides, f"train.seed={seed}"]
        function = tune.with_parameters(trial, preset="demo", overrides=own, **shared)
        config = load_config("demo", own)
        for early in (True, False):
            place = folder / f"sweep-{seed}-{early}"
            plan = SearchPlan(trials, "tpe", early)
            records = search(function, space, config, place, plan).records
            epochs[early].append(sum(record.figures["epoch"] for record in records))
            best[early].append(best_first(records)[0])
    known = {key: ray.put(value) for key, value in shared.items()}
    tried = confirm([best[True][0], Record({}, {})], 3, "demo", overrides, known)
    winner = next(each for each in tried if each.parameters)
    preset = next(each for each in tried if not each.parameters)
    lost = [whole.score - cut.score for whole, cut in zip(best[False], best[True], strict=True)]
    noise = max(preset.deviation, winner.deviation)
    figures = {
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
    return {name: float(value) for name, value in figures.items()}


def maps(confirmed: Confirmed) -> list[float]:
    """Return the validation mAP of each seed."""
    return [own["val_map"] for own in confirmed.figures]


if __name__ == "__main__":
    main()
