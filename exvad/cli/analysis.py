"""The work of `exvad analyze`: analyze files and print the analyses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from transformers.utils.logging import disable_progress_bar

from exvad.checkpoints.registry import find_newest_checkpoint
from exvad.checkpoints.zero_shot import zero_shot_config
from exvad.cli.video_arguments import expand_videos, shown_name
from exvad.config import Config, override_config
from exvad.data.atomic import write_text_atomic
from exvad.data.storage.writable import check_new_file
from exvad.detector.detector import Detector
from exvad.pipeline.preflight.models import require_clip
from exvad.report.evidence import evidence_frames
from exvad.report.pages import render_analyses
from exvad.report.report_video import ReportVideo
from exvad.results import Analysis
from exvad.results.disagreement import describe_disagreement


@dataclass(frozen=True)
class ZeroShotOptions:
    """What the command line says about detection without training.

    Args:
        wanted: whether it is asked for even if there is a checkpoint.
        memory: the memory of scenes; None for the one that ships with exvad.
        normal: further normal scenes.
        look_for: `KIND=SCENE` items, further incidents.
    """

    wanted: bool = False
    memory: str | None = None
    normal: Sequence[str] = ()
    look_for: Sequence[str] = ()

    @property
    def is_given(self) -> bool:
        """Whether any option asks for detection without training."""
        return bool(self.wanted or self.memory or self.normal or self.look_for)

    def config(self, overrides: Mapping[str, Any]) -> Config:
        """Return the configuration of detection without training.

        Args:
            overrides: dotted key → value; the options count before them.

        Raises:
            ValueError: an item of `look_for` has no kind or no scene, or a setting is invalid.
        """
        values = dict(overrides)
        if self.memory:
            values["zero_shot.memory"] = self.memory
        if self.normal:
            values["zero_shot.normal"] = [*values.get("zero_shot.normal", []), *self.normal]
        kinds: dict[str, list[str]] = {}
        for item in self.look_for:
            kind, _, scene = (part.strip() for part in item.partition("="))
            if not kind or not scene:
                raise ValueError(
                    f"--look-for {item!r}: write KIND=SCENE, such as "
                    "'Climbing=a person climbs over a fence'"
                )
            kinds.setdefault(kind, []).append(scene)
        if kinds:
            values["zero_shot.look_for"] = {**values.get("zero_shot.look_for", {}), **kinds}
        return zero_shot_config(values)


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
        The exit code: 0, or 1 if any video failed.

    Raises:
        ValueError: there is neither a checkpoint nor a CLIP to detect without one, or the report
            can't be written.
    """
    notes = Console(stderr=True, highlight=False)
    if html is not None:
        check_new_file(html, "--html")
    files, unmatched = expand_videos(videos)
    reported: list[ReportVideo] = []
    failed: dict[str, str] = {}

    def fail(name: str, reason: str) -> None:
        reason = reason.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        failed[name] = reason
        if as_json:
            print(json.dumps({"video": name, "error": reason}), flush=True)
        notes.print(f"failed: {reason}", style="red", markup=False, soft_wrap=True)

    for argument, reason in unmatched.items():
        fail(shown_name(argument), f"{shown_name(argument)}: {reason}")
    if not files:
        return 1
    zero_shot = zero_shot or ZeroShotOptions()
    if checkpoint is None and not zero_shot.is_given:
        checkpoint = find_newest_checkpoint()
        if checkpoint is not None:
            notes.print(
                f"using the checkpoint of the newest run, {checkpoint}", style="dim", markup=False
            )
    disable_progress_bar()
    if checkpoint is None:
        checkpoint, overrides = zero_shot.config(overrides or {}), {}
    if isinstance(checkpoint, Config):
        detector = _zero_shot_detector(override_config(checkpoint, overrides or {}), notes)
    else:
        detector = Detector(checkpoint, overrides=overrides)
    output = Console(highlight=False)
    for file in files:
        name = shown_name(file)
        try:
            analysis = detector.analyze(file).model_copy(update={"video": name})
        except ValueError as error:
            fail(name, str(error))
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
    return 1 if failed else 0


def _frames(file: str, analysis: Analysis, notes: Console) -> dict[int, bytes]:
    """Return the evidence frames of a video; none, and a note, if they can't be read any more."""
    try:
        return evidence_frames(file, analysis)
    except ValueError as error:
        notes.print(f"the report has no frames of {error}", markup=False, soft_wrap=True)
        return {}


def _zero_shot_detector(config: Config, notes: Console) -> Detector:
    """Return the detector without training.

    Raises:
        ValueError: there is no CLIP.
    """
    require_clip(config)
    detector = Detector(config)
    notes.print(
        f"no checkpoint: comparing frames with a memory of scenes, {detector.checkpoint.name}",
        style="dim",
        soft_wrap=True,
    )
    return detector


def print_analysis(output: Console, analysis: Analysis) -> None:
    """Print an analysis as text.

    Args:
        output: where to print.
        analysis: the analysis of a video.
    """
    title = f"[bold]{escape(analysis.video)}[/]  {_clock(analysis.duration)}"
    output.print(title, soft_wrap=True, emoji=False)
    if analysis.domain is not None and analysis.domain.state != "inside":
        style = "bold yellow" if analysis.domain.state == "outside" else "dim"
        output.print(f"  {escape(analysis.domain.text)}", style=style, soft_wrap=True)
    if not analysis.events:
        highest = max(analysis.scores, default=0.0)
        output.print(
            f"  nothing abnormal found  highest score {highest:.2f}, "
            f"threshold {analysis.threshold:.2f}",
            style="green",
        )
    for event in analysis.events:
        span = f"{_clock(event.start)}–{_clock(event.end)}"
        output.print(
            f"  [bold red]{escape(event.label)}[/]  {span}  confidence {event.confidence:.2f}"
        )
    explanation = analysis.explanation
    if explanation is not None:
        output.print(f"  why: {escape(explanation.text)}", soft_wrap=True)
        for index in explanation.evidence:
            caption = analysis.captions[index - 1]
            line = f"    {_clock(caption.time)}  {escape(caption.text)}"
            output.print(line, style="dim", soft_wrap=True)
    if disagreement := describe_disagreement(analysis):
        output.print(f"  note: {escape(disagreement)}", style="yellow", soft_wrap=True)
    for problem in analysis.problems:
        output.print(f"  note: {escape(problem)}", style="yellow", soft_wrap=True)


def _clock(seconds: float) -> str:
    minutes, remainder = divmod(seconds, 60)
    return f"{int(minutes)}:{remainder:04.1f}"
