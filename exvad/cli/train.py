"""`exvad train`: stored features and labels in, a trained checkpoint out."""

from __future__ import annotations

import argparse

from exvad.cli.options import add_config
from exvad.config import load_config

HELP = "features and labels → a trained checkpoint"
DESCRIPTION = (
    "Train a detector on the features and labels of a run. Run it again to continue after an "
    "interruption."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--select-on",
        choices=["val", "test"],
        help="split that chooses the epoch; `test` flatters the metrics and is recorded with them",
    )
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.pipeline.train import train

    chosen = [f"train.select_on={options.select_on}"] if options.select_on else []
    return train(load_config(options.preset, [*options.overrides, *chosen]))
