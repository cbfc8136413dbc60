"""`exvad check`: whether everything that a run needs is there, before anything is computed."""

from __future__ import annotations

import argparse

from exvad.cli.options import add_config, read_config

HELP = "check models, GPUs, disk and data of a run before it starts"
DESCRIPTION = (
    "Look for everything that the jobs of a run need: models and licences, endpoints, GPUs and "
    "memory, disk, data. It takes seconds and downloads nothing. Each job makes the same checks "
    "first. The exit code is 2 if anything is missing."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    config = read_config(options)
    from exvad.pipeline.preflight.report import report_checks

    return report_checks(config, options.json)
