"""`exvad train`: stored features and labels in, a trained checkpoint out."""

from __future__ import annotations

import argparse

from exvad.cli.options import add_config, add_no_check, read_config
from exvad.config import override_config

HELP = "train a detector on the features and labels of a run"
DESCRIPTION = (
    "Train a detector on the features and labels of a run. Run the same command again to continue "
    "after an interruption."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--select-on",
        choices=["val", "test"],
        help="split that selects the epoch; `test` makes the metrics optimistic, which is recorded "
        "with them [the preset's]",
    )
    add_no_check(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    config = read_config(options)
    if options.select_on:
        config = override_config(config, {"train.select_on": options.select_on})
    from exvad.pipeline.preflight.checks import require_ready
    from exvad.pipeline.train import train

    if not options.no_check:
        require_ready(config, "train")
    return train(config)
