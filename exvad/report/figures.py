"""The report's figures as data for its templates: timelines, training curves, confusion.

Horizontal places are percent of a figure's width, so that text keeps its size on every screen;
curves are SVG paths in a box of 1000 × 100. Every figure carries its own description in words.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeGuard

import numpy as np

from exvad.results import Analysis

_BOX_WIDTH, _BOX_HEIGHT = 1000, 100
_MOST_POINTS = 600  # of a drawn curve; longer ones keep the lowest and highest of each bucket
_TICK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_MOST_TICKS = 8
_FIRST_HUE = 25.0

TrueEvent = tuple[float, float, str]


def clock(seconds: float) -> str:
    """Write a moment as m:ss, or h:mm:ss from one hour on."""
    minutes, second = divmod(math.floor(seconds + 0.5), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def when(start: float, end: float) -> str:
    """Write a stretch of time: "from 0:12 to 0:21", or "at 0:12" within one second."""
    first, last = clock(start), clock(end)
    return f"at {first}" if first == last else f"from {first} to {last}"


def percent(share: float) -> str:
    """Write a share of 0 to 1 as whole percent, never claiming certainty that is not there."""
    if 0.995 <= share < 1:
        return "over 99\u202f%"
    if 0 < share <= 0.005:
        return "under 1\u202f%"
    return f"{share * 100:.0f}\u202f%"


def kind_name(label: str) -> str:
    """Write a class name as words: "RoadAccidents" becomes "Road accidents"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label.replace("_", " ")).strip().split()
    plain = [word if word.isupper() else word.lower() for word in words]
    return " ".join(plain)[:1].upper() + " ".join(plain)[1:]


def kind_hue(label: str, classes: Sequence[str]) -> float | None:
    """Give each abnormal class its own hue, in degrees; None for normal and unknown classes."""
    if label not in classes[1:]:
        return None
    return round((_FIRST_HUE + 360 * (classes.index(label) - 1) / (len(classes) - 1)) % 360, 1)


@dataclass(frozen=True)
class Span:
    """A bar on a timeline: `left` and `width` in percent, `text` for a reader's eye and ear."""

    left: float
    width: float
    kind: str
    text: str
    hue: float | None


@dataclass(frozen=True)
class Tick:
    """A mark on a time axis; every second one may be hidden where there is little room."""

    left: float
    text: str
    minor: bool


@dataclass(frozen=True)
class Timeline:
    """What happened when: the score curve, its alarm line, what was found and what is true."""

    line: str
    area: str
    highlights: list[tuple[str, str, float | None]]  # line, area and hue of each found event
    threshold: float
    found: list[Span]
    truth: list[Span]
    ticks: list[Tick]
    points: str  # JSON: [seconds, score, class number or -1] of each drawn point
    kinds: str  # JSON: names of the classes, for the read-out
    length: float
    description: str


def timeline(analysis: Analysis, truth: Sequence[TrueEvent] = ()) -> Timeline:
    """Draw one video's timeline.

    Args:
        analysis: what the detector said.
        truth: what really happened: (start, end, class), in seconds.
    """
    length = max([analysis.duration, *analysis.times, *(e.end for e in analysis.events), 1e-3])
    kept = _kept_points(analysis.scores)
    times = [analysis.times[i] for i in kept]
    scores = [analysis.scores[i] for i in kept]
    kinds = [_likely_kind(analysis, i) for i in kept]

    def stretch(start: float, end: float) -> tuple[str, str]:
        inside = [start, *(t for t in times if start < t < end), end]
        values = np.interp(inside, times, scores).tolist() if times else [0.0] * len(inside)
        line = _path((_BOX_WIDTH * t / length, v) for t, v in zip(inside, values, strict=True))
        bottom = f"L{_BOX_WIDTH * end / length:.1f} 100L{_BOX_WIDTH * start / length:.1f} 100Z"
        return line, line + bottom

    def span(start: float, end: float, label: str, score: float | None = None) -> Span:
        start, end = max(start, 0.0), min(end, length)
        name = kind_name(label)
        scored = "" if score is None else f", score {percent(score)}"
        left, width = 100 * start / length, 100 * max(end - start, 0.0) / length
        hue = kind_hue(label, analysis.classes)
        return Span(
            round(left, 2), round(width, 2), name, f"{name} {when(start, end)}{scored}", hue
        )

    line, area = stretch(0.0, length) if times else ("", "")
    return Timeline(
        line=line,
        area=area,
        highlights=[
            (*stretch(e.start, e.end), kind_hue(e.label, analysis.classes))
            for e in analysis.events
            if times
        ],
        threshold=analysis.threshold,
        found=[span(e.start, e.end, e.label, e.score) for e in analysis.events],
        truth=[span(*event) for event in truth if event[0] < length],
        ticks=_ticks(length),
        points=json.dumps(
            [[round(t, 2), round(s, 3), k] for t, s, k in zip(times, scores, kinds, strict=True)],
            separators=(",", ":"),
        ),
        kinds=json.dumps([kind_name(c) for c in analysis.classes], separators=(",", ":")),
        length=length,
        description=_describe(analysis, truth),
    )


def _kept_points(scores: Sequence[float]) -> list[int]:
    """Thin a long curve, keeping the lowest and the highest point of each bucket."""
    if len(scores) <= _MOST_POINTS:
        return list(range(len(scores)))
    edges = np.linspace(0, len(scores), _MOST_POINTS // 2 + 1).astype(int)
    kept: set[int] = set()
    for first, last in pairwise(edges.tolist()):
        bucket = scores[first:last]
        kept |= {first + int(np.argmin(bucket)), first + int(np.argmax(bucket))}
    return sorted(kept)


def _likely_kind(analysis: Analysis, snippet: int) -> int:
    """The most likely abnormal class of a snippet above the alarm line, otherwise -1."""
    if analysis.scores[snippet] <= analysis.threshold or len(analysis.classes) < 2:
        return -1
    return 1 + int(np.argmax(analysis.probabilities[snippet][1:]))


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {_BOX_HEIGHT * (1 - y):.1f}" for x, y in points)


def _ticks(length: float) -> list[Tick]:
    step = next((s for s in _TICK_STEPS if length / s <= _MOST_TICKS), None)
    step = step or 3600 * math.ceil(length / 3600 / _MOST_TICKS)
    moments = [i * step for i in range(int(length / step) + 1)]
    return [
        Tick(round(100 * t / length, 2), clock(t), minor=bool(i % 2)) for i, t in enumerate(moments)
    ]


def _describe(analysis: Analysis, truth: Sequence[TrueEvent]) -> str:
    """The timeline in words, for those who cannot see it."""
    parts = [f"Timeline of {clock(analysis.duration)}."]
    if analysis.scores:
        peak = int(np.argmax(analysis.scores))
        parts.append(
            f"The anomaly score lies between {percent(min(analysis.scores))} and "
            f"{percent(max(analysis.scores))}, highest at {clock(analysis.times[peak])}; "
            f"the alarm line is at {percent(analysis.threshold)}."
        )
    found = ", ".join(f"{kind_name(e.label)} {when(e.start, e.end)}" for e in analysis.events)
    parts.append(f"Found: {found or 'nothing'}.")
    if truth:
        parts.append(f"True: {', '.join(f'{kind_name(k)} {when(s, e)}' for s, e, k in truth)}.")
    return " ".join(parts)


@dataclass(frozen=True)
class Curve:
    """One quantity over the epochs of training."""

    key: str
    line: str
    low: str
    high: str
    first_epoch: str
    last_epoch: str
    last: str
    description: str


_NOT_CURVES = {"epoch", "lr", "learning_rate", "step", "steps", "time", "seconds"}


def training_curves(history: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Draw every numeric quantity of the training history that has two epochs or more.

    Args:
        history: one record per epoch; `epoch` gives the horizontal place where it is there.
    """
    keys = dict.fromkeys(key for record in history for key in record if key not in _NOT_CURVES)
    curves = []
    for key in keys:
        points = [
            (float(record.get("epoch", number)), float(record[key]))
            for number, record in enumerate(history, 1)
            if is_number(record.get(key))
        ]
        if len(points) > 1:
            curves.append(_curve(key, points))
    return curves


def _curve(key: str, points: list[tuple[float, float]]) -> Curve:
    epochs, values = [p[0] for p in points], [p[1] for p in points]
    low, high = min(values), max(values)
    reach, rise = epochs[-1] - epochs[0] or 1.0, high - low
    places = [((x - epochs[0]) / reach, (y - low) / rise if rise else 0.5) for x, y in points]
    best = max(values) if key.startswith("val_") else min(values)
    return Curve(
        key=key,
        line=_path((_BOX_WIDTH * x, y) for x, y in places),
        low=f"{low:.3g}",
        high=f"{high:.3g}",
        first_epoch=f"{epochs[0]:g}",
        last_epoch=f"{epochs[-1]:g}",
        last=f"{values[-1]:.3g}",
        description=(
            f"{key} goes from {values[0]:.3g} at epoch {epochs[0]:g} to {values[-1]:.3g} at epoch "
            f"{epochs[-1]:g}; best {best:.3g} at epoch {epochs[values.index(best)]:g}."
        ),
    )


@dataclass(frozen=True)
class ConfusionRow:
    """What the videos of one true class were called."""

    name: str
    cells: list[tuple[int, float]]  # count, share of the row
    total: int
    right: float | None  # share named right; None where the class has no video


def confusion_rows(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> list[ConfusionRow]:
    """Turn a C × C table of counts (rows are the truth) into rows of a heat table.

    Raises:
        ValueError: the table's size is not that of `classes`.
    """
    if len(counts) != len(classes) or any(len(row) != len(classes) for row in counts):
        sizes = f"{len(counts)} rows of {sorted({len(row) for row in counts})} counts"
        raise ValueError(f"confusion has {sizes}, but there are {len(classes)} classes")
    rows = []
    for number, (label, row) in enumerate(zip(classes, counts, strict=True)):
        total = sum(row)
        cells = [(count, count / total if total else 0.0) for count in row]
        right = cells[number][1] if total else None
        rows.append(ConfusionRow(kind_name(label), cells, total, right))
    return rows


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value read from JSON is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
