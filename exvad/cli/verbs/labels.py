"""`exvad labels`: class names in, LAAM's label phrases out."""

from __future__ import annotations

import argparse

from exvad.cli.options import add_config, add_no_check, read_config

HELP = "write label phrases for the classes (LAAM)"
DESCRIPTION = (
    "Let the language model write phrases for every class of the data set, or copy them from the "
    "file that labels.file names."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_no_check(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    config = read_config(options)
    from exvad.pipeline.labels import write_labels
    from exvad.pipeline.preflight.checks import require_ready

    if not options.no_check:
        require_ready(config, "labels")
    return write_labels(config)
