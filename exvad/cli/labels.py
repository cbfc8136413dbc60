"""`exvad labels`: class names in, LAAM's label phrases out."""

from __future__ import annotations

import argparse

from exvad.cli.options import add_config
from exvad.config import load_config

HELP = "class names → label phrases (LAAM)"
DESCRIPTION = (
    "Have the language model write phrases about every class of the data set, or take them from "
    "the file that labels.file names."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.pipeline.labels import write_labels

    return write_labels(load_config(options.preset, options.overrides))
