"""The work of `exvad analyze`: analyze files and print the analyses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from exvad.cli.detectors import ZeroShotOptions, load_detector
from exvad.cli.errors import describe_error
from exvad.cli.exit_codes import DONE, FAILED, REFUSED
from exvad.cli.video_arguments import describe_left_out, expand_videos, shown_name
from exvad.data.atomic import write_text_atomic
from exvad.data.storage.places import is_uri
from exvad.data.storage.writable import check_new_file
from exvad.pipeline.progress.names import short_list
from exvad.report.evidence import evidence_frames
from exvad.report.pages import render_analyses
from exvad.report.report_video import ReportVideo
from exvad.results import Analysis
from exvad.results.disagreement import describe_disagreement
from exvad.video.container import MissingVideoError, check_local

if TYPE_CHECKING:
    from exvad.config import Config

MOST_DIGITS = 16  # after the point: more than a float has


def analyze_files(
    videos: Sequence[str],
    checkpoint: Path | Config | None,
    as_json: bool,
    html: Path | None,
    overrides: Mapping[str, Any] | None = None,
    zero_shot: ZeroShotOptions | None = None,
) -> int:
    """Analyze video files and print the analyses; a file that can't be read fails alone.

    Args:
        videos: files, URIs, folders and patterns; see `expand_videos`.
        checkpoint: the folder of the checkpoint, or the configuration of detection without
            training; None for the checkpoint of the newest run, or for detection
            without training if there is none. Which one it is is printed.
        as_json: whether to print one JSON object per video instead of text.
        html: file of the report; None for no report.
        overrides: settings of the frozen models that replace the checkpoint's.
        zero_shot: what the command line says about detection without training.

    Returns:
        The exit code: 0, 1 if any video failed, or 2 if none of them is there.

    Raises:
        ValueError: no argument names a video on this machine or in a bucket, there is neither a
            checkpoint nor a CLIP to detect without one, or the report can't be written.
    """
    notes = Console(stderr=True, highlight=False)
    if html is not None:
        check_new_file(html, "--html")
    files, unmatched = expand_videos(videos)
    _refuse_nothing(files, unmatched)
    reported: list[ReportVideo] = []
    failed: dict[str, str] = {}
    absent = len(unmatched)

    def fail(name: str, reason: str) -> None:
        reason = reason.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        failed[name] = reason
        if as_json:
            print(json.dumps({"video": name, "error": reason}), flush=True)
        notes.print(f"failed: {reason}", style="red", markup=False, soft_wrap=True)

    for note in describe_left_out(videos):
        notes.print(f"note: {note}", style="yellow", markup=False, soft_wrap=True)
    for argument, reason in unmatched.items():
        fail(shown_name(argument), f"{shown_name(argument)}: {reason}")
    detector = load_detector(checkpoint, overrides or {}, zero_shot or ZeroShotOptions(), notes)
    output = Console(highlight=False)
    for file in files:
        name = shown_name(file)
        try:
            analysis = detector.analyze(file).model_copy(update={"video": name})
        except ValueError as error:
            absent += isinstance(error, MissingVideoError)
            fail(name, str(error))
            continue
        except (RuntimeError, MemoryError) as error:
            # Of torch, NumPy or a model: it may be due to this video, and the next ones go on.
            fail(name, f"{name}: can't be analyzed: {describe_error(error) or _sentence(error)}")
            continue
        if as_json:
            print(analysis.model_dump_json(), flush=True)
        else:
            print_analysis(output, analysis)
        if html is not None:
            reported.append(ReportVideo(analysis, _frames(file, analysis, notes)))
    if html is not None and reported:
        write_text_atomic(html, render_analyses(reported, "exvad analysis", failed))
        notes.print(f"report: {html}", markup=False, soft_wrap=True)
    if failed:
        return REFUSED if absent == len(files) + len(unmatched) else FAILED
    return DONE


def _refuse_nothing(files: Sequence[str], unmatched: Mapping[str, str]) -> None:
    """Refuse arguments that name no video, before a model is loaded.

    Args:
        files: the videos; whether a URI leads to one is seen when it is read.
        unmatched: argument → why it names no video.

    Raises:
        ValueError: there is no video; the message says why.
    """
    reasons = [f"{shown_name(argument)}: {reason}" for argument, reason in unmatched.items()]
    for file in files:
        if is_uri(file):
            return
        try:
            check_local(file)
        except MissingVideoError as error:
            reasons.append(f"{shown_name(file) or 'VIDEO'}: {error.reason}")
        except ValueError:
            return  # it is there, and reading it says what is wrong
        else:
            return
    raise ValueError(short_list(reasons))


def _sentence(error: Exception) -> str:
    """Return the first line of an error that exvad did not expect, or its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}{f': {lines[0]}' if lines else ''}"


def _frames(file: str, analysis: Analysis, notes: Console) -> dict[int, bytes]:
    """Return the evidence frames of a video; none, and a note, if they can't be read any more."""
    try:
        return evidence_frames(file, analysis)
    except ValueError as error:
        notes.print(f"the report has no frames of {error}", markup=False, soft_wrap=True)
        return {}


def print_analysis(output: Console, analysis: Analysis) -> None:
    """Print an analysis as text.

    Args:
        output: where to print.
        analysis: the analysis of a video.
    """
    title = f"[bold]{escape(analysis.video)}[/]  {clock_text(analysis.duration)}"
    output.print(title, soft_wrap=True, emoji=False)
    if analysis.domain is not None and analysis.domain.state != "inside":
        style = "bold yellow" if analysis.domain.state == "outside" else "dim"
        output.print(f"  {escape(analysis.domain.text)}", style=style, soft_wrap=True)
    if not analysis.events:
        highest, threshold = _apart(max(analysis.scores, default=0.0), analysis.threshold)
        output.print(
            f"  nothing abnormal found  highest score {highest}, threshold {threshold}",
            style="green",
        )
    for event in analysis.events:
        span = f"{clock_text(event.start)}–{clock_text(event.end)}"
        output.print(
            f"  [bold red]{escape(event.label)}[/]  {span}  confidence {event.confidence:.2f}"
        )
    explanation = analysis.explanation
    if explanation is not None:
        output.print(f"  why: {escape(explanation.text)}", soft_wrap=True)
        for index in explanation.evidence:
            caption = analysis.captions[index - 1]
            line = f"    {clock_text(caption.time)}  {escape(caption.text)}"
            output.print(line, style="dim", soft_wrap=True)
    if disagreement := describe_disagreement(analysis):
        output.print(f"  note: {escape(disagreement)}", style="yellow", soft_wrap=True)
    for problem in analysis.problems:
        output.print(f"  note: {escape(problem)}", style="yellow", soft_wrap=True)


def _apart(score: float, threshold: float) -> tuple[str, str]:
    """Return both with two digits after the point, or with as many as tell them apart."""
    for digits in range(2, MOST_DIGITS + 1):
        texts = f"{score:.{digits}f}", f"{threshold:.{digits}f}"
        if texts[0] != texts[1]:
            return texts
    return f"{score:.2f}", f"{threshold:.2f}"


def clock_text(seconds: float) -> str:
    """Return a time of a video as minutes and seconds."""
    minutes, remainder = divmod(seconds, 60)
    return f"{int(minutes)}:{remainder:04.1f}"
