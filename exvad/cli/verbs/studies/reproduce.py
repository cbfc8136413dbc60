"""`exvad reproduce`: the whole protocol of a preset with several seeds, and the paper's tables."""

from __future__ import annotations

import argparse

from exvad.cli.options import MOST_SEEDS, PRESET_HELP, add_overrides, add_protocol, whole_number

HELP = "run a whole protocol with several seeds and print the paper's tables"
DESCRIPTION = (
    "Run the whole protocol of a preset with several seeds: features, labels, trainings, "
    "evaluations. Print the paper's tables with the measured rows beside the quoted ones. Run the "
    "same command again to continue after an interruption."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("preset", help=PRESET_HELP)
    parser.add_argument(
        "--seeds",
        type=whole_number(1, MOST_SEEDS),
        default=3,
        metavar="N",
        help="number of trainings [%(default)s]",
    )
    add_protocol(parser, default="vadclip")
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.pipeline.studies.reproduce import reproduce

    return reproduce(options.preset, options.overrides, options.seeds, options.protocol)
