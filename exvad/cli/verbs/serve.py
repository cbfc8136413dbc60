"""`exvad serve`: an HTTP API and a page for a trained checkpoint."""

from __future__ import annotations

import argparse

from exvad.cli.options import DETECTOR_HELP, add_server

HELP = "serve a checkpoint with an HTTP API and a page"
DESCRIPTION = (
    "Serve a checkpoint until Ctrl-C. A YAML file sets limits, API keys, replicas and all other "
    "settings of the server."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--checkpoint",
        metavar="REF",
        help=f"{DETECTOR_HELP} [the settings' checkpoint, else that of the newest run]",
    )
    add_server(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.serving.deployments.server import run_server
    from exvad.serving.settings import load_settings

    settings = load_settings(options.settings, options.checkpoint)
    run_server(options.host, options.port, settings)
    return 0
