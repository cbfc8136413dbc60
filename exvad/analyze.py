"""`exvad analyze`: answers about video files, as text, JSON or HTML."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from exvad.report import ReportVideo
    from exvad.results import Analysis

DEMO_CHECKPOINTS = "runs/*/checkpoint"


def newest_demo_checkpoint() -> Path:
    """Return the checkpoint of the newest run below the working directory.

    Raises:
        ValueError: there is none.
    """
    found = sorted(Path().glob(DEMO_CHECKPOINTS), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ValueError(
            f"no checkpoint below {DEMO_CHECKPOINTS}: run `exvad demo` first, "
            "or name one with --checkpoint"
        )
    return found[-1]


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

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    notes = Console(stderr=True, highlight=False)
    if checkpoint is None:
        checkpoint = newest_demo_checkpoint()
        notes.print(f"using the checkpoint of the newest run, {checkpoint}", style="dim")

    from transformers.utils import logging

    from exvad.detector import Detector

    logging.disable_progress_bar()
    detector = Detector(checkpoint)
    out = Console(highlight=False)
    shown: list[ReportVideo] = []
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
            from exvad.report import ReportVideo, evidence_frames

            shown.append(ReportVideo(analysis, evidence_frames(video, analysis)))
    if html is not None and shown:
        from exvad.data.atomic import write_text_atomic
        from exvad.report import render_analyses

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
