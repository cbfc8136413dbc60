"""`exvad analyze`: analyses of video files, as text, JSON or HTML."""

from __future__ import annotations

import argparse
from pathlib import Path

import shtab

from exvad.cli.options import CHECKPOINT_HELP

HELP = "analyze videos: what happened, when, and why"
DESCRIPTION = (
    "Analyze video files with a trained checkpoint. Print for each video the abnormal events, "
    "their class and an explanation."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    videos = parser.add_argument("videos", nargs="+", metavar="VIDEO", help="video files")
    videos.complete = shtab.FILE  # type: ignore[attr-defined]
    parser.add_argument(
        "--checkpoint",
        metavar="REF",
        help=f"{CHECKPOINT_HELP} [that of the newest run below runs/]",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace a setting of the frozen models, such as llm.backend=openai; "
        "repeatable [none]",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per video")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a report with evidence frames"
    )


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.checkpoints.registry import resolve_checkpoint
    from exvad.cli.analysis import analyze_files
    from exvad.config import parse_overrides

    checkpoint = resolve_checkpoint(options.checkpoint) if options.checkpoint else None
    overrides = parse_overrides(options.set)
    return analyze_files(options.videos, checkpoint, options.json, options.html, overrides)
