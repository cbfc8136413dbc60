"""`exvad analyze`: analyses of video files, as text, JSON or HTML."""

from __future__ import annotations

import argparse
from pathlib import Path

import shtab

from exvad.cli.options import DETECTOR_HELP, add_videos

HELP = "analyze videos: what happened, when, and why"
DESCRIPTION = (
    "Analyze video files with a trained checkpoint, or without one by a memory of described "
    "scenes. Print for each video the abnormal events, their class and an explanation."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_videos(parser, "+", "video files, folders of videos, patterns such as 'cam*/*.mp4'")
    parser.add_argument(
        "--checkpoint",
        metavar="REF",
        help=f"{DETECTOR_HELP} [that of the newest run below runs/; without one, zero-shot]",
    )
    parser.add_argument(
        "--zero-shot",
        action="store_true",
        help="use no checkpoint even if there is one: compare frames with the memory of scenes",
    )
    memory = parser.add_argument(
        "--memory",
        metavar="FILE",
        help="memory of scenes for --zero-shot, which it implies [package:scenes]",
    )
    memory.complete = shtab.FILE  # type: ignore[attr-defined]
    parser.add_argument(
        "--normal",
        action="append",
        default=[],
        metavar="SCENE",
        help="zero-shot: a normal scene of this camera, such as 'people jog here'; "
        "repeatable [none]",
    )
    parser.add_argument(
        "--look-for",
        action="append",
        default=[],
        metavar="KIND=SCENE",
        help="zero-shot: an incident to look for, such as 'Climbing=a person climbs a fence'; "
        "repeatable [none]",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace a setting of the frozen models, such as llm.backend=openai, and any setting "
        "in zero-shot, such as clip.model=local-dir:FOLDER; repeatable [none]",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per video")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a report with evidence frames"
    )


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.checkpoints.registry import resolve_checkpoint
    from exvad.checkpoints.zero_shot import read_zero_shot
    from exvad.cli.analysis import ZeroShotOptions, analyze_files
    from exvad.config import parse_overrides

    zero_shot = ZeroShotOptions(options.zero_shot, options.memory, options.normal, options.look_for)
    if options.checkpoint and zero_shot.is_given:
        raise ValueError(
            "--checkpoint names a trained detector; --zero-shot, --memory, --normal and --look-for "
            "are for detection without one: give either"
        )
    reference = options.checkpoint
    checkpoint = (read_zero_shot(reference) or resolve_checkpoint(reference)) if reference else None
    overrides = parse_overrides(options.set)
    return analyze_files(
        options.videos, checkpoint, options.json, options.html, overrides, zero_shot
    )
