"""The metrics of a run for the report: summary metrics, tables, confusion matrix and durations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exvad.report.formatting import NARROW_SPACE, format_duration, is_number
from exvad.results.disagreement import class_name

MISSING = "–"


@dataclass(frozen=True)
class Metric:
    """A metric of a run's summary.

    Args:
        name: name for the reader.
        path: keys of the value in `summary.json`.
        scale: 100 if the summary holds a share of 0 to 1, 1 if it holds percent.
        meaning: explanation for the reader.
    """

    name: str
    path: tuple[str, ...]
    scale: float
    meaning: str = ""

    def value(self, summary: Mapping[str, Any]) -> float | None:
        """Return the value in percent; None if the summary lacks it."""
        value: Any = summary
        for key in self.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value * self.scale if is_number(value) else None


SUMMARY_METRICS = (
    Metric(
        "Frame AUC",
        ("frame_auc",),
        100,
        "How often an abnormal frame scores higher than a normal one. "
        f"A random baseline gives 50{NARROW_SPACE}%.",
    ),
    Metric(
        "Frame AP",
        ("frame_ap",),
        100,
        "How many of the frames above the threshold are abnormal, averaged over all thresholds.",
    ),
    Metric(
        "Event mAP, strict",
        ("map", "strict", "average"),
        1,
        "How well found events match the true ones in time and class.",
    ),
    Metric(
        "Class accuracy",
        ("class_accuracy",),
        100,
        "How many of the test videos got their true class.",
    ),
    Metric(
        "Explanation accuracy",
        ("explanation_class_accuracy",),
        100,
        "How many of the explanations name the true class.",
    ),
)

VARIANT_METRICS = (
    Metric("Frame AUC", ("frame_auc",), 100),
    Metric("Frame AP", ("frame_ap",), 100),
    Metric("Event mAP, strict", ("map_strict_average",), 1),
    Metric("Class accuracy", ("class_accuracy",), 100),
)

VARIANT_NAMES = {
    "none": "Frames alone",
    "captions": "Frames and captions",
    "explanation": "Frames and explanation",
    "grounded": "Frames and grounded text",
}

PROTOCOL_MEANINGS = {
    "strict": "abnormal videos and classes only, as the paper defines it",
    "vadclip": "computed exactly as in the tables of the literature",
}

STEP_NAMES = {
    "render": "Render the demo videos",
    "preprocess": "Preprocess the videos",
    "labels": "Encode the classes",
    "train": "Train",
    "evaluate": "Evaluate",
}


@dataclass(frozen=True)
class Stat:
    """A summary metric as text, with its meaning."""

    name: str
    value: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Cell:
    """A cell of a metric table.

    Args:
        value: the value, or a dash.
        change: difference from the first row; empty if there is none.
        best: whether it is the best value of its column.
    """

    value: str
    change: str = ""
    best: bool = False


@dataclass(frozen=True)
class TableRow:
    """A row of a metric table: name, explanation (may be empty), cells."""

    name: str
    meaning: str
    cells: list[Cell]


@dataclass(frozen=True)
class MetricTable:
    """A table of metrics in percent."""

    columns: list[str]
    rows: list[TableRow]


def summary_stats(summary: Mapping[str, Any]) -> list[Stat]:
    """Return the summary metrics that a summary holds."""
    stats = [
        Stat(metric.name, f"{value:.1f}", f"{NARROW_SPACE}%", metric.meaning)
        for metric in SUMMARY_METRICS
        if (value := metric.value(summary)) is not None
    ]
    if is_number(videos := summary.get("videos")):
        counts = [
            f"{summary[key]:,} {key}"
            for key in ("explained", "failed")
            if is_number(summary.get(key))
        ]
        meaning = f"Test videos: {', '.join(counts)}." if counts else "Test videos."
        stats.append(Stat("Videos", f"{videos:,}", "", meaning))
    if is_number(total := summary.get("seconds_total")):
        stats.append(Stat("Time", format_duration(total), "", "From the first step to the report."))
    return stats


def variants_table(summary: Mapping[str, Any]) -> MetricTable | None:
    """Return the text variants with their changes from frames alone; None without variants."""
    by_text = summary.get("variants") or {}
    variants = {text: by_text[text] for text in _in_order(by_text, VARIANT_NAMES) if by_text[text]}
    columns = [
        metric
        for metric in VARIANT_METRICS
        if any(metric.value(variant) is not None for variant in variants.values())
    ]
    if not columns:
        return None
    first = variants.get("none", {})
    best = {
        metric.name: max(metric.value(variant) or 0.0 for variant in variants.values())
        for metric in columns
    }
    rows = []
    for text, variant in variants.items():
        cells = []
        for metric in columns:
            value, first_value = metric.value(variant), metric.value(first)
            if value is None:
                cells.append(Cell(MISSING))
                continue
            change = ""
            if first_value is not None and text != "none":
                change = f"{value - first_value:+.1f}".replace("-", "−")
            cells.append(Cell(f"{value:.1f}", change, value == best[metric.name]))
        rows.append(TableRow(VARIANT_NAMES.get(text, text), "", cells))
    return MetricTable([metric.name for metric in columns], rows)


def map_table(summary: Mapping[str, Any]) -> MetricTable | None:
    """Return detection mAP by protocol and IoU threshold; None without mAP."""
    protocols = {
        protocol: by_iou
        for protocol, by_iou in (summary.get("map") or {}).items()
        if isinstance(by_iou, Mapping)
    }
    ious = list(
        dict.fromkeys(
            iou
            for by_iou in protocols.values()
            for iou, value in by_iou.items()
            if is_number(value)
        )
    )
    if not ious:
        return None
    rows = []
    for protocol, by_iou in protocols.items():
        values = [by_iou.get(iou) for iou in ious]
        cells = [Cell(f"{value:.1f}" if is_number(value) else MISSING) for value in values]
        rows.append(TableRow(protocol, PROTOCOL_MEANINGS.get(protocol, ""), cells))
    return MetricTable([_iou_name(iou) for iou in ious], rows)


def _iou_name(iou: str) -> str:
    try:
        return f"{float(iou) * 100:.0f}{NARROW_SPACE}%"
    except ValueError:
        return iou.capitalize()


@dataclass(frozen=True)
class ConfusionRow:
    """The predicted classes of the videos of one true class.

    Args:
        name: the true class.
        cells: count and share of the row, per predicted class.
        correct: share with the right class; None if the class has no video.
    """

    name: str
    cells: list[tuple[int, float]]
    correct: float | None


def confusion_rows(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> list[ConfusionRow]:
    """Return the rows of a confusion matrix.

    Args:
        counts: C × C counts, rows are the true classes.
        classes: the C classes.

    Raises:
        ValueError: the size of the matrix does not fit the classes.
    """
    if len(counts) != len(classes) or any(len(row) != len(classes) for row in counts):
        sizes = f"{len(counts)} rows of {sorted({len(row) for row in counts})} counts"
        raise ValueError(f"the confusion matrix has {sizes}, but there are {len(classes)} classes")
    rows = []
    for index, (label, row) in enumerate(zip(classes, counts, strict=True)):
        total = sum(row)
        cells = [(count, count / total if total else 0.0) for count in row]
        rows.append(ConfusionRow(class_name(label), cells, cells[index][1] if total else None))
    return rows


@dataclass(frozen=True)
class StepDuration:
    """The duration of one step of a run.

    Args:
        name: the step.
        duration: its duration in words.
        width: its duration in percent of the longest step.
    """

    name: str
    duration: str
    width: float


def step_durations(summary: Mapping[str, Any]) -> list[StepDuration]:
    """Return the duration of each step of a run."""
    by_step = summary.get("seconds") or {}
    steps = [step for step in _in_order(by_step, STEP_NAMES) if is_number(by_step[step])]
    longest = max((by_step[step] for step in steps), default=0.0) or 1.0
    return [
        StepDuration(
            STEP_NAMES.get(step, step),
            format_duration(by_step[step]),
            round(100 * by_step[step] / longest, 1),
        )
        for step in steps
    ]


def _in_order(keys: Iterable[str], order: Iterable[str]) -> list[str]:
    """Return keys in a given order; JSON files have them in alphabetical order."""
    ranks = {key: rank for rank, key in enumerate(order)}
    return sorted(keys, key=lambda key: ranks.get(key, len(ranks)))
