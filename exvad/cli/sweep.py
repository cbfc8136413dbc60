"""`exvad sweep`: search the settings of training with Ray Tune and Optuna."""

from __future__ import annotations

import argparse
from pathlib import Path

import exvad
from exvad.cli.options import add_config

SPACE = Path(exvad.__file__).parent / "assets" / "search_space.yaml"

HELP = "search the settings of training (Ray Tune, Optuna, MLflow)"
DESCRIPTION = (
    "Search k, λ, τ, windows and more on the features and labels of a run; train the best again "
    "with several seeds and register the winner in MLflow."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--trials", type=int, default=20, help="number of trials [20]")
    parser.add_argument(
        "--space", type=Path, default=SPACE, help="YAML file of the search space [the packaged one]"
    )
    parser.add_argument(
        "--search",
        choices=["tpe", "nsga2", "random", "grid"],
        default="tpe",
        help="sampler: tpe, nsga2 (AUC against mAP), random, or grid (all combinations) [tpe]",
    )
    parser.add_argument(
        "--confirm",
        type=int,
        default=1,
        metavar="SEEDS",
        help="train the three best again with this many seeds; the best mean wins [1]",
    )
    parser.add_argument(
        "--no-early-stop", action="store_true", help="train every trial to its last epoch"
    )
    parser.add_argument("--resume", action="store_true", help="continue the newest sweep")
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.tuning.sweep import SweepOptions, sweep

    return sweep(
        SweepOptions(
            preset=options.preset,
            overrides=options.overrides,
            trials=options.trials,
            space=options.space,
            search=options.search,
            confirm=options.confirm,
            no_early_stop=options.no_early_stop,
            resume=options.resume,
            command=options.command,
        )
    )
