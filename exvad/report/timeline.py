"""The timeline of a video: score curve, threshold, found events and true events.

Horizontal positions are percent of the width, so that text keeps its size on every screen. The
curve is an SVG path. The timeline has a description in words for readers who cannot see it.

T snippets
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from exvad.report.formatting import (
    class_hue,
    format_percent,
    format_span,
    format_time,
)
from exvad.report.report_video import TrueEvent
from exvad.report.svg_path import BOX_HEIGHT, BOX_WIDTH, svg_path
from exvad.results import Analysis
from exvad.results.disagreement import class_name

MAX_POINTS = 600  # of a drawn curve; longer curves keep the extremes of each bucket
MAX_TICKS = 8
TICK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)  # seconds


@dataclass(frozen=True)
class Bar:
    """A bar for an event.

    Args:
        left: percent of the width.
        width: percent of the width.
        label: class name inside the bar.
        text: description of the event.
        hue: hue of the class in degrees; None for a class without color.
    """

    left: float
    width: float
    label: str
    text: str
    hue: float | None


@dataclass(frozen=True)
class Tick:
    """A mark on the time axis.

    Args:
        left: percent of the width.
        text: the time.
        minor: whether the mark may be hidden on narrow screens.
    """

    left: float
    text: str
    minor: bool


@dataclass(frozen=True)
class Highlight:
    """The part of the curve inside a found event: paths of line and area, and the class's hue."""

    line: str
    area: str
    hue: float | None


@dataclass(frozen=True)
class Timeline:
    """The drawing of one video's timeline.

    Args:
        line: path of the score curve.
        area: path of the area below it.
        highlights: the parts of the curve inside found events.
        threshold: 0 to 1.
        found: bars of the found events.
        true: bars of the true events.
        ticks: marks of the time axis.
        points: JSON: [seconds, score, class index or −1] of each drawn point.
        classes: JSON: the class names.
        length: seconds.
        description: the timeline in words.
    """

    line: str
    area: str
    highlights: list[Highlight]
    threshold: float
    found: list[Bar]
    true: list[Bar]
    ticks: list[Tick]
    points: str
    classes: str
    length: float
    description: str


def build_timeline(analysis: Analysis, true_events: Sequence[TrueEvent] = ()) -> Timeline:
    """Build the timeline of a video.

    Args:
        analysis: the analysis.
        true_events: the true events.
    """
    ends = [event.end for event in analysis.events]
    length = max([analysis.duration, *analysis.times, *ends, 1e-3])
    indices = _drawn_indices(analysis.scores)
    times = [analysis.times[index] for index in indices]
    scores = [analysis.scores[index] for index in indices]
    classes = [_likely_class(analysis, index) for index in indices]

    def paths(start: float, end: float) -> tuple[str, str]:
        """Return line and area of the curve between two times."""
        moments = [start, *(time for time in times if start < time < end), end]
        values = np.interp(moments, times, scores).tolist()
        shares = [moment / length for moment in moments]
        line = svg_path(zip(shares, values, strict=True))
        left, right = (f"{BOX_WIDTH * share:.1f}" for share in (shares[0], shares[-1]))
        return line, f"{line}L{right} {BOX_HEIGHT}L{left} {BOX_HEIGHT}Z"

    def bar(start: float, end: float, label: str, score: float | None = None) -> Bar:
        start, end = max(start, 0.0), min(end, length)
        name = class_name(label)
        score_text = "" if score is None else f", score {format_percent(score)}"
        return Bar(
            round(100 * start / length, 2),
            round(100 * max(end - start, 0.0) / length, 2),
            name,
            f"{name} {format_span(start, end)}{score_text}",
            class_hue(label, analysis.classes),
        )

    line, area = paths(0.0, length) if times else ("", "")
    highlights = [
        Highlight(*paths(event.start, event.end), class_hue(event.label, analysis.classes))
        for event in analysis.events
        if times
    ]
    points = [
        [round(time, 2), round(score, 3), label]
        for time, score, label in zip(times, scores, classes, strict=True)
    ]
    return Timeline(
        line=line,
        area=area,
        highlights=highlights,
        threshold=analysis.threshold,
        found=[bar(event.start, event.end, event.label, event.score) for event in analysis.events],
        true=[bar(*event) for event in true_events if event[0] < length],
        ticks=_ticks(length),
        points=json.dumps(points, separators=(",", ":")),
        classes=json.dumps([class_name(c) for c in analysis.classes], separators=(",", ":")),
        length=length,
        description=_describe(analysis, true_events),
    )


def _drawn_indices(scores: Sequence[float]) -> list[int]:
    """Return the indices to draw: all, or the lowest and highest score of each bucket."""
    if len(scores) <= MAX_POINTS:
        return list(range(len(scores)))
    edges = np.linspace(0, len(scores), MAX_POINTS // 2 + 1).astype(int)
    indices: set[int] = set()
    for first, last in pairwise(edges.tolist()):
        bucket = scores[first:last]
        indices |= {first + int(np.argmin(bucket)), first + int(np.argmax(bucket))}
    return sorted(indices)


def _likely_class(analysis: Analysis, index: int) -> int:
    """Return the most likely abnormal class of a snippet above the threshold, otherwise −1."""
    if analysis.scores[index] <= analysis.threshold or len(analysis.classes) < 2:
        return -1
    return 1 + int(np.argmax(analysis.probabilities[index][1:]))


def _ticks(length: float) -> list[Tick]:
    step = next((step for step in TICK_STEPS if length / step <= MAX_TICKS), None)
    step = step or 3600 * math.ceil(length / 3600 / MAX_TICKS)
    times = [index * step for index in range(int(length / step) + 1)]
    return [
        Tick(round(100 * time / length, 2), format_time(time), minor=bool(index % 2))
        for index, time in enumerate(times)
    ]


def _describe(analysis: Analysis, true_events: Sequence[TrueEvent]) -> str:
    sentences = [f"Timeline of {format_time(analysis.duration)}."]
    if analysis.scores:
        peak = int(np.argmax(analysis.scores))
        sentences.append(
            f"The anomaly score lies between {format_percent(min(analysis.scores))} and "
            f"{format_percent(max(analysis.scores))}, with the maximum at "
            f"{format_time(analysis.times[peak])}; "
            f"the threshold is {format_percent(analysis.threshold)}."
        )
    found = [(event.start, event.end, event.label) for event in analysis.events]
    sentences.append(f"Found: {_event_list(found) or 'nothing'}.")
    if true_events:
        sentences.append(f"True: {_event_list(true_events)}.")
    return " ".join(sentences)


def _event_list(events: Sequence[TrueEvent]) -> str:
    return ", ".join(f"{class_name(label)} {format_span(s, e)}" for s, e, label in events)
