"""`exvad compare`: other systems of the literature on the features of a run."""

from __future__ import annotations

import argparse

from exvad.cli.options import (
    add_config,
    add_no_check,
    add_protocol,
    add_seeds,
    read_config,
    whole_number,
)

HELP = "train and measure other systems on the same features: the paper's Tables 1 to 3 and 7"
DESCRIPTION = (
    "Train every system on the features of a run, with the same split, seeds and code, and print "
    "the paper's tables with the measured rows beside the quoted ones. Run the same command again "
    "to continue after an interruption."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--systems",
        default="all",
        metavar="NAMES",
        help="names separated by commas, all for those that are trained, training_free for the "
        "others, of which lavad and vera ask a language model about every window; NAME:WAY "
        "chooses the way to a class map (F0 to F3, or coarse for none), NAME:OPTION=VALUE sets an "
        "option, such as rtfm:F3:margin=10 [%(default)s]",
    )
    add_seeds(parser, 5, "trainings per system")
    parser.add_argument(
        "--resamples",
        type=int,
        default=1000,
        metavar="N",
        help="bootstrap resamples for the intervals; 0 for none [%(default)s]",
    )
    parser.add_argument(
        "--snippets",
        type=whole_number(1, 1_000_000),
        default=256,
        metavar="T",
        help="snippets of the video that efficiency is measured with [%(default)s]",
    )
    parser.add_argument(
        "--retry", action="store_true", help="try systems again that could not be trained"
    )
    add_protocol(parser, default="vadclip")
    add_no_check(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    config = read_config(options)
    from exvad.pipeline.preflight.checks import require_ready
    from exvad.pipeline.studies.compare import CompareOptions, compare

    if not options.no_check:
        require_ready(config, "compare")
    chosen = CompareOptions(
        options.systems,
        options.seeds,
        options.protocol,
        options.resamples,
        options.snippets,
        options.retry,
    )
    return compare(config, chosen)
