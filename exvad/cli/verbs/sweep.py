"""`exvad sweep`: search the settings of training with Ray Tune and Optuna."""

from __future__ import annotations

import argparse
from importlib import resources
from pathlib import Path

from exvad.cli.options import MOST_SEEDS, add_config, add_no_check, read_config, whole_number

HELP = "search the settings of training (Ray Tune, Optuna, MLflow)"
DESCRIPTION = (
    "Search settings such as k, λ, τ and the window on the features and labels of a run. Train the "
    "three best settings again with several seeds and register the winner in MLflow."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    packaged_space = Path(str(resources.files("exvad") / "assets" / "search_space.yaml"))
    parser.add_argument(
        "--trials",
        type=whole_number(1, 100_000),
        default=20,
        metavar="N",
        help="number of trials [%(default)s]",
    )
    parser.add_argument(
        "--space",
        type=Path,
        metavar="FILE",
        default=packaged_space,
        help="YAML file of the search space [the packaged one]",
    )
    parser.add_argument(
        "--search",
        choices=["tpe", "nsga2", "random", "grid"],
        default="tpe",
        help="sampler: tpe, nsga2 (AUC against mAP), random, or grid (all combinations) "
        "[%(default)s]",
    )
    parser.add_argument(
        "--confirm",
        type=whole_number(1, MOST_SEEDS),
        default=1,
        metavar="SEEDS",
        help="seeds with which each of the three best settings is trained again; the best mean "
        "wins [%(default)s]",
    )
    parser.add_argument(
        "--no-early-stop",
        dest="early_stop",
        action="store_false",
        help="train every trial to its last epoch",
    )
    resume = parser.add_mutually_exclusive_group()
    resume.add_argument(
        "--resume",
        action="store_const",
        const="newest",
        default="never",
        help="resume the newest sweep",
    )
    resume.add_argument(
        "--resume-or-start",
        dest="resume",
        action="store_const",
        const="unfinished",
        help="resume the newest sweep if it is unfinished, else start one: the same command for a "
        "job that may be lost and given again",
    )
    add_no_check(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    config = read_config(options)
    from exvad.pipeline.preflight.checks import require_ready
    from exvad.tuning.context import SweepOptions
    from exvad.tuning.sweep import sweep

    if not options.no_check:
        require_ready(config, "sweep")
    return sweep(
        config,
        SweepOptions(
            space=options.space,
            trials=options.trials,
            search=options.search,
            confirm_seeds=options.confirm,
            early_stop=options.early_stop,
            resume=options.resume,
            preset=options.preset,
            overrides=options.overrides,
            command=options.command,
        ),
    )
