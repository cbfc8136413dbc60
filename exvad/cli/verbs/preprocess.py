"""`exvad preprocess`: videos in, features, captions and explanations out."""

from __future__ import annotations

import argparse

from exvad.cli.options import add_config, add_no_check, read_config

HELP = "compute features, captions and explanations of the videos"
DESCRIPTION = (
    "Compute what the feature store of a run lacks: CLIP features, captions and explanations. Run "
    "the same command again to continue after an interruption."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--fresh", action="store_true", help="delete the content of the store first"
    )
    parser.add_argument(
        "--fresh-explanations",
        action="store_true",
        help="delete the explanations first, and keep features and captions",
    )
    parser.add_argument("--retry-failed", action="store_true", help="retry videos that failed")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if any video failed")
    add_no_check(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    config = read_config(options)
    from exvad.pipeline.preflight.checks import require_ready
    from exvad.pipeline.preprocess import preprocess

    if not options.no_check:
        require_ready(config, "preprocess")
    return preprocess(
        config, options.fresh, options.retry_failed, options.strict, options.fresh_explanations
    )
