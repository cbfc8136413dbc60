"""`exvad preprocess`: videos in, features, captions and explanations out."""

from __future__ import annotations

import argparse

from exvad.cli.options import add_config
from exvad.config import load_config

HELP = "videos → features, captions and explanations"
DESCRIPTION = (
    "Compute whatever the feature store of a run still lacks: CLIP features, captions and "
    "explanations. Run it again to continue after an interruption."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--fresh", action="store_true", help="delete what the store holds first")
    parser.add_argument("--retry-failed", action="store_true", help="try failed videos again")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if any video failed")
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.pipeline.preprocess import preprocess

    config = load_config(options.preset, options.overrides)
    return preprocess(config, options.fresh, options.retry_failed, options.strict)
