"""The figures of a run as rows for the report's templates: each with its plain meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exvad.report.figures import is_number


@dataclass(frozen=True)
class Measure:
    """A measured quantity: where `summary.json` keeps it, in which unit, and what it means."""

    name: str
    path: tuple[str, ...]
    scale: float  # 100 where the summary holds a share of 0 to 1, 1 where it holds percent
    meaning: str

    def of(self, summary: Mapping[str, Any]) -> float | None:
        """The quantity in percent; None where the summary lacks it."""
        value: Any = summary
        for key in self.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value * self.scale if is_number(value) else None


_HEADLINES = (
    Measure(
        "Frame AUC",
        ("frame_auc",),
        100,
        "Of one abnormal and one ordinary moment, how often the abnormal one scores higher. "
        "Guessing gives 50.",
    ),
    Measure(
        "Frame AP",
        ("frame_ap",),
        100,
        "How much of what is flagged is really abnormal, averaged over all alarm lines.",
    ),
    Measure(
        "Event mAP",
        ("map", "strict", "average"),
        1,
        "How well reported events match the true ones in time and kind.",
    ),
    Measure(
        "Named rightly",
        ("class_accuracy",),
        100,
        "Of all test videos, how many were given their true class.",
    ),
    Measure(
        "Explained rightly",
        ("explanation_class_accuracy",),
        100,
        "Of the explained videos, how many explanations name the true class.",
    ),
)

_VARIANT_COLUMNS = (
    Measure("Frame AUC", ("frame_auc",), 100, ""),
    Measure("Frame AP", ("frame_ap",), 100, ""),
    Measure("Event mAP", ("map_strict_average",), 1, ""),
    Measure("Named rightly", ("class_accuracy",), 100, ""),
)

_VARIANTS = {
    "none": "Picture alone",
    "captions": "Picture and captions",
    "explanation": "Picture and explanation",
}

_PROTOCOLS = {
    "strict": "every abnormal class counts, by the paper's text",
    "vadclip": "computed as in the literature's tables, quirks included",
}

_STAGES = {
    "world": "Make the demo videos",
    "vision": "Look and caption",
    "language": "Explain",
    "labels": "Describe the classes",
    "train": "Train",
    "evaluate": "Measure",
    "analyze": "Answer about the test videos",
    "report": "Write this report",
}


@dataclass(frozen=True)
class Stat:
    """A headline figure and what it means, in one line."""

    name: str
    value: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table of percentages: cells hold the value and the change to the first row, if any."""

    columns: list[str]
    rows: list[tuple[str, str, list[tuple[str, str, bool]]]]  # name, meaning, (value, change, best)


def headline_stats(summary: Mapping[str, Any]) -> list[Stat]:
    """The headline figures the summary holds."""
    stats = [
        Stat(measure.name, f"{value:.1f}", "\u202f%", measure.meaning)
        for measure in _HEADLINES
        if (value := measure.of(summary)) is not None
    ]
    if is_number(videos := summary.get("videos")):
        parts = [
            f"{summary[key]:,} {key}"
            for key in ("explained", "failed")
            if is_number(summary.get(key))
        ]
        meaning = f"Test videos: {', '.join(parts)}." if parts else "Test videos."
        stats.append(Stat("Videos", f"{videos:,}", "", meaning))
    if is_number(total := summary.get("seconds_total")):
        stats.append(Stat("Time", duration(total), "", "From the first step to this page."))
    return stats


def variants_table(summary: Mapping[str, Any]) -> Table | None:
    """What captions and explanations are worth: each variant, with its change to the first."""
    variants = {key: value for key, value in (summary.get("variants") or {}).items() if value}
    columns = [m for m in _VARIANT_COLUMNS if any(m.of(v) is not None for v in variants.values())]
    if not columns:
        return None
    base = variants.get("none", {})
    best = {m.name: max(m.of(v) or 0.0 for v in variants.values()) for m in columns}
    rows = []
    for key, figures in variants.items():
        cells = []
        for measure in columns:
            value, start = measure.of(figures), measure.of(base)
            if value is None:
                cells.append(("–", "", False))
                continue
            change = "" if start is None or key == "none" else f"{value - start:+.1f}"
            cells.append((f"{value:.1f}", change.replace("-", "−"), value == best[measure.name]))
        rows.append((_VARIANTS.get(key, key), "", cells))
    return Table([measure.name for measure in columns], rows)


def map_table(summary: Mapping[str, Any]) -> Table | None:
    """Detection mAP by protocol and overlap."""
    protocols = {k: v for k, v in (summary.get("map") or {}).items() if isinstance(v, Mapping)}
    keys = list(dict.fromkeys(k for f in protocols.values() for k in f if is_number(f[k])))
    if not keys:
        return None
    rows = []
    for name, figures in protocols.items():
        values = [figures.get(key) for key in keys]
        cells = [(f"{v:.1f}" if is_number(v) else "–", "", False) for v in values]
        rows.append((name, _PROTOCOLS.get(name, ""), cells))
    return Table([_overlap_name(key) for key in keys], rows)


def _overlap_name(key: str) -> str:
    try:
        return f"{float(key) * 100:.0f}\u202f%"
    except ValueError:
        return key.capitalize()


def stage_times(summary: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """How long each stage took: name, time in words, percent of the longest one."""
    seconds = {k: v for k, v in (summary.get("seconds") or {}).items() if is_number(v)}
    longest = max(seconds.values(), default=0.0) or 1.0
    return [
        (_STAGES.get(key, key), duration(value), round(100 * value / longest, 1))
        for key, value in seconds.items()
    ]


def duration(seconds: float) -> str:
    """Write a length of time in words: "9.3 s", "3 min 20 s", "1 h 05 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f}\u00a0s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return f"{hours}\u00a0h {minute:02}\u00a0min"
    return f"{minute}\u00a0min {second:02}\u00a0s"
