"""`exvad analyze`: analyses of video files, as text, JSON or HTML."""

from __future__ import annotations

import argparse
from pathlib import Path

from exvad.cli.options import add_detector, add_videos

HELP = "analyze videos: what happened, when, and why"
DESCRIPTION = (
    "Analyze video files with a trained checkpoint, or without one by a memory of described "
    "scenes. Print for each video the abnormal events, their class and an explanation."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_videos(
        parser, "+", "video files or their URIs, folders of videos, patterns such as 'cam*/*.mp4'"
    )
    add_detector(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object per video")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a report with evidence frames"
    )


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.cli.analysis import analyze_files
    from exvad.cli.detectors import ZeroShotOptions, choose_checkpoint
    from exvad.config import parse_overrides

    zero_shot = ZeroShotOptions.from_arguments(options)
    checkpoint = choose_checkpoint(options.checkpoint, zero_shot)
    overrides = parse_overrides(options.set)
    return analyze_files(
        options.videos, checkpoint, options.json, options.html, overrides, zero_shot
    )
