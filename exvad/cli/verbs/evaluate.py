"""`exvad evaluate`: a checkpoint and the test split in, metrics and a report out."""

from __future__ import annotations

import argparse

from exvad.cli.options import CHECKPOINT_HELP, add_config, add_no_check, read_config

HELP = "measure a checkpoint and write an HTML report"
DESCRIPTION = (
    "Measure a checkpoint on the test split. The command writes summary.json, analyses.jsonl and "
    "report.html into the folder of the run."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--checkpoint", metavar="REF", default="", help=f"{CHECKPOINT_HELP} [RUN/checkpoint]"
    )
    parser.add_argument(
        "--variants",
        action="store_true",
        help="also train and measure the detector with the other kinds of text",
    )
    parser.add_argument(
        "--resamples",
        type=int,
        default=1000,
        metavar="N",
        help="bootstrap resamples; 0 for no intervals [%(default)s]",
    )
    add_no_check(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    config = read_config(options)
    from exvad.pipeline.evaluate import evaluate_run
    from exvad.pipeline.preflight.checks import require_ready

    if not options.no_check:
        require_ready(config, "evaluate")
    return evaluate_run(config, options.checkpoint, options.variants, options.resamples)
