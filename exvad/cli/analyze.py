"""`exvad analyze`: answers about video files, as text, JSON or HTML."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exvad.cli.options import CHECKPOINT_HELP

if TYPE_CHECKING:
    from rich.console import Console

    from exvad.results import Analysis

HELP = "say of videos what happened, when, and why"
DESCRIPTION = "Analyze video files with a trained checkpoint."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="video files")
    parser.add_argument("--checkpoint", metavar="REF", help=CHECKPOINT_HELP)
    parser.add_argument("--json", action="store_true", help="print one JSON object per video")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a report with evidence frames"
    )


def run(options: argparse.Namespace) -> int:
    """Run the verb; return the exit code."""
    from exvad.checkpoints.registry import resolve_checkpoint

    checkpoint = resolve_checkpoint(options.checkpoint) if options.checkpoint else None
    return analyze_files(options.videos, checkpoint, options.json, options.html)


def analyze_files(
    videos: Sequence[str], checkpoint: Path | None, as_json: bool, html: Path | None
) -> int:
    """Analyze video files and print the answers; a file that can't be read costs only itself.

    Args:
        videos: the files.
        checkpoint: the checkpoint's folder; None for the newest demo run, which is said.
        as_json: print one JSON object per video instead of text.
        html: where to write a report, if anywhere.

    Returns:
        The exit code: 0 if every video was answered, 1 if some failed.

    Raises:
        ValueError: there is no checkpoint.
    """
    from rich.console import Console
    from transformers.utils import logging

    from exvad.checkpoints.registry import newest_demo_checkpoint
    from exvad.data.atomic import write_text_atomic
    from exvad.detector.detector import Detector
    from exvad.report.pages import ReportVideo, evidence_frames, render_analyses

    notes = Console(stderr=True, highlight=False)
    if checkpoint is None:
        checkpoint = newest_demo_checkpoint()
        notes.print(f"using the checkpoint of the newest run, {checkpoint}", style="dim")
    logging.disable_progress_bar()
    detector = Detector(checkpoint)
    out = Console(highlight=False)
    shown = []
    failed = 0
    for video in videos:
        try:
            analysis = detector.analyze(video)
        except ValueError as error:
            failed += 1
            if as_json:
                print(json.dumps({"video": Path(video).name, "error": str(error)}))
            notes.print(f"failed: {error}", style="red", markup=False, soft_wrap=True)
            continue
        if as_json:
            print(analysis.model_dump_json())
            sys.stdout.flush()
        else:
            print_analysis(out, analysis)
        if html is not None:
            shown.append(ReportVideo(analysis, evidence_frames(video, analysis)))
    if html is not None and shown:
        write_text_atomic(html, render_analyses(shown, "exvad analysis"))
        notes.print(f"report: {html}")
    return 1 if failed else 0


def print_analysis(out: Console, analysis: Analysis) -> None:
    """Print an answer for a person."""
    from rich.markup import escape

    out.print(f"[bold]{escape(analysis.video)}[/]  {_clock(analysis.duration)}")
    if not analysis.events:
        out.print("  nothing abnormal found", style="green")
    for event in analysis.events:
        span = f"{_clock(event.start)}–{_clock(event.end)}"
        out.print(
            f"  [bold red]{escape(event.label)}[/]  {span}  confidence {event.confidence:.2f}"
        )
    if analysis.explanation is not None:
        out.print(f"  why: {escape(analysis.explanation.text)}", soft_wrap=True)
    cited = analysis.explanation.evidence if analysis.explanation is not None else []
    for number in cited:
        caption = analysis.captions[number - 1]
        out.print(f"    {_clock(caption.time)}  {escape(caption.text)}", style="dim")
    for problem in analysis.problems:
        out.print(f"  note: {escape(problem)}", style="yellow")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"
