"""`exvad config`: the effective configuration of a preset with overrides."""

from __future__ import annotations

import argparse
import sys

from exvad.cli.options import add_config

HELP = "print the effective configuration"
DESCRIPTION = (
    "Print the configuration that a preset and overrides give, as YAML that --preset reads back."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="print every setting with its value")
    add_config(show)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.config import dump_config, load_config

    sys.stdout.write(dump_config(load_config(options.preset, options.overrides)))
    return 0
