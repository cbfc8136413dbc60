"""`exvad evaluate`: a checkpoint and the test split in, metrics and a report out."""

from __future__ import annotations

import argparse

from exvad.cli.options import CHECKPOINT_HELP, add_config
from exvad.config import load_config

HELP = "checkpoint → metrics and an HTML report"
DESCRIPTION = (
    "Measure a checkpoint on the test split; write summary.json, analyses.jsonl and report.html "
    "into the run."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--checkpoint",
        metavar="REF",
        help=f"{CHECKPOINT_HELP.partition(';')[0]}; default: RUN/checkpoint",
    )
    parser.add_argument(
        "--variants", action="store_true", help="also train and measure the other text variants"
    )
    parser.add_argument(
        "--resamples", type=int, default=1000, help="bootstrap resamples; 0 for no intervals [1000]"
    )
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.pipeline.evaluate import evaluate_run

    config = load_config(options.preset, options.overrides)
    return evaluate_run(config, options.checkpoint or "", options.variants, options.resamples)
