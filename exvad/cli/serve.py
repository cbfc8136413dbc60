"""`exvad serve`: an HTTP API and a page for a trained checkpoint."""

from __future__ import annotations

import argparse

from exvad.cli.options import CHECKPOINT_HELP

HELP = "an HTTP API and a page for a trained checkpoint"
DESCRIPTION = (
    "Serve a checkpoint until Ctrl-C. Limits, API keys and replicas are settings of the server in "
    "a YAML file; see the documentation of exvad.serving.settings."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--checkpoint", metavar="REF", help=CHECKPOINT_HELP)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; others need api_keys [127.0.0.1]"
    )
    parser.add_argument("--port", type=int, default=8000, help="port to listen on [8000]")
    parser.add_argument("--settings", default="", metavar="FILE", help="YAML file of settings")


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.serving.deployments.server import run_server
    from exvad.serving.settings import load_settings

    settings = load_settings(options.settings)
    if options.checkpoint:
        settings = settings.model_copy(update={"checkpoint": options.checkpoint})
    run_server(options.host, options.port, settings)
    return 0
