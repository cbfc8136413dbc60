"""`exvad reproduce`: the whole protocol of a preset with several seeds, and the paper's tables."""

from __future__ import annotations

import argparse

from exvad.cli.options import PRESET_HELP, add_overrides, add_protocol, add_seeds

HELP = "run a whole protocol with several seeds and print the paper's tables"
DESCRIPTION = (
    "Run the whole protocol of a preset with several seeds: features, labels, trainings, "
    "evaluations. Print the paper's tables with the measured rows beside the quoted ones. Run the "
    "same command again to continue after an interruption. All jobs run on this machine, also "
    "where RAY_ADDRESS names a cluster: there, submit jobs/preprocess.py, jobs/labels.py and "
    "jobs/compare.py."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("preset", help=PRESET_HELP)
    add_seeds(parser, 3, "number of trainings")
    add_protocol(parser, default="vadclip")
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.pipeline.studies.reproduce import reproduce

    return reproduce(options.preset, options.overrides, options.seeds, options.protocol)
