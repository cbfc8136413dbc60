"""`exvad demo`: all jobs on rendered sample videos, without a GPU or a download."""

from __future__ import annotations

import argparse

from exvad.cli.options import add_config

HELP = "run all jobs on rendered sample videos: no GPU, no download"
DESCRIPTION = (
    "Render sample videos of a surveillance camera, preprocess them, train a detector on "
    "video-level labels, evaluate it and write a report. Run the same command again to continue "
    "after an interruption."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--fresh", action="store_true", help="delete an earlier demo run first")
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.pipeline.demo import run_demo

    return run_demo(options.preset, options.overrides, options.fresh)
