"""`exvad config`: the effective configuration of a preset with overrides."""

from __future__ import annotations

import argparse
import sys

from exvad.cli.options import add_config, read_config
from exvad.config import dump_config

HELP = "print the effective configuration"
DESCRIPTION = (
    "Print the configuration that results from a preset and overrides. The output is YAML that "
    "--preset accepts."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    show_help = "print every setting with its value"
    add_config(actions.add_parser("show", help=show_help, description=DESCRIPTION))


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    sys.stdout.write(dump_config(read_config(options)))
    return 0
