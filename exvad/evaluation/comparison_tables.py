"""The tables of a comparison: measured rows of every system beside the paper's quoted ones.

A cell is the mean over the seeds, ± their standard deviation, and in brackets the 95 % interval of
resampled test videos, whose ends are averaged over the seeds.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exvad.baselines import SYSTEMS
from exvad.config.counts import count_of
from exvad.evaluation.comparison_notes import (
    differing_splits,
    in_words,
    notes_on_missing,
    quoted_efficiency,
    reasons_of_absence,
    with_footnotes,
)
from exvad.evaluation.paper_tables import (
    QUOTED,
    Estimate,
    PaperTable,
    estimate,
    quoted_results,
)
from exvad.evaluation.scored import FRAME_METRICS
from exvad.metrics import IOUS
from exvad.metrics.alarms import RECALL

Record = Mapping[str, Any]
CSV_COLUMNS = ("system", "title", "way", "seed", "class", "metric", "value", "low", "high")
NEWER = {
    "AUC, abnormal videos": ("frame_auc_abnormal", 100),
    "AP, abnormal videos": ("frame_ap_abnormal", 100),
    "latency-aware AP": ("latency_ap", 100),
    f"false alarms per hour at recall {RECALL}": ("false_alarms_per_hour", 1),
    "calibration error": ("calibration_error", 100),
    "video AUC": ("video_auc", 100),
    "class accuracy": ("class_accuracy", 100),
}
PER_CLASS = {
    "AUC": ("frame_auc", 100),
    "AP": ("frame_ap", 100),
    **{name: metric for name, metric in NEWER.items() if metric[0] in FRAME_METRICS},
}


@dataclass(frozen=True)
class Row:
    """A system with its results.

    Args:
        title: its name.
        way: its way to a class map.
        records: one per seed; see `run_trial`.
        efficiency: see `Efficiency`, with `image_width` and `text_width` of the input; None if it
            was not measured.
    """

    title: str
    way: str
    records: Sequence[Record]
    efficiency: Mapping[str, Any] | None = None

    @property
    def done(self) -> list[Record]:
        """The records with metrics."""
        return [record for record in self.records if "error" not in record]

    @property
    def label(self) -> str:
        """The name with the way to its classes."""
        return f"{self.title}, {self.way}"


@dataclass(frozen=True)
class Cell:
    """An estimate with its interval.

    Args:
        estimate: over the seeds.
        interval: low and high end; None without.
    """

    estimate: Estimate
    interval: tuple[float, float] | None

    def __str__(self) -> str:
        """Return mean, deviation and interval as text."""
        if self.interval is None:
            return str(self.estimate)
        low, high = self.interval
        return f"{self.estimate} [{low:.2f}, {high:.2f}]"


@dataclass(frozen=True)
class _About:
    """What all rows of a comparison share.

    Args:
        dataset: kind of the data set.
        selected_on: the split that chose the step of each training.
        splits: those of which rows have different numbers of videos.
        notes: which videos rows leave out.
    """

    dataset: str
    selected_on: str
    splits: Sequence[str]
    notes: Sequence[str]


def comparison_tables(
    rows: Sequence[Row],
    dataset: str,
    protocol: str,
    selected_on: str,
    efficiency_of: str,
    systems: Sequence[str],
) -> list[PaperTable]:
    """Return all tables of a comparison.

    Args:
        rows: the systems.
        dataset: kind of the data set; the paper's rows are included if it reports on it.
        protocol: of the measured mAP, `vadclip` or `strict`.
        selected_on: the split that chose the step of each training.
        efficiency_of: the length of the input of the measured efficiency, in words.
        systems: keys of the catalogue, to say which names of the paper have no system.
    """
    done = [row for row in rows if row.done]
    about = _About(
        dataset,
        selected_on,
        differing_splits([row.done[0]["videos"] for row in done]),
        notes_on_missing({row.label: row.done[0]["missing"] for row in done}),
    )
    tables = [
        _fine(done, about, protocol),
        _coarse(done, about),
        _newer(done, about),
        _efficiency(done, efficiency_of),
        *_per_class(done),
    ]
    errors = {row.label: record["error"] for row in rows for record in row.records
              if "error" in record}  # fmt: skip
    absent = [f"{label}: {error}" for label, error in errors.items()]
    absent += reasons_of_absence(systems)
    if absent:
        columns = ["why", "source"]
        sentences = [[sentence, ""] for sentence in absent]
        tables.append(PaperTable("Without a measured row", columns, sentences))
    return tables


def comparison_csv(rows: Sequence[Row]) -> str:
    """Return every metric of every trial as CSV, in the units of `summary_metrics`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        for record in row.done:
            begin = [record["system"], row.title, row.way, record["seed"]]
            extra = {"training_seconds": record["training_seconds"], **(row.efficiency or {})}
            scopes = {"": {**_metrics(record), **extra, "intervals": record["intervals"]}}
            scopes |= record["per_class"] or {}
            for label, metrics in scopes.items():
                intervals = metrics.get("intervals", {})
                for name, value in metrics.items():
                    if name != "intervals" and value is not None:
                        ends = intervals.get(name, ("", ""))
                        writer.writerow([*begin, label, name, value, *ends])
    return text.getvalue()


def _fine(rows: Sequence[Row], about: _About, protocol: str) -> PaperTable:
    """Return Table 1 or 2: detection mAP by IoU."""
    dataset = about.dataset
    keys = [*(f"{iou:.1f}" for iou in IOUS), "average"]
    paper = quoted_results(dataset)
    heading = f"Fine-grained detection on {dataset}, mAP@IoU (%)"
    cells: list[list[object]] = []
    if paper is not None:
        heading = paper["table"]
        cells = [[name, *(f"{value:.2f}" for value in values), QUOTED]
                 for name, values in paper["fine"].items()]  # fmt: skip
    metrics = [(f"map_{protocol}_{key}", 1.0) for key in keys]
    cells += _random_row(rows, metrics)
    cells += [_measured(row, metrics, about, protocol) for row in rows]
    note = (
        "F0 to F3 are the ways to classes: F0 the system's own; F1 a head trained with it; F2 a "
        "head on the frozen system; F3 CLIP's cosines with the labels; coarse: none."
    )
    table = PaperTable(heading, ["method", *keys, "source"], cells, [note, *about.notes])
    return with_footnotes(table, "fine", dataset)


def _coarse(rows: Sequence[Row], about: _About) -> PaperTable:
    """Return Table 3: frame AUC and AP; the paper's rows have one of them."""
    dataset = about.dataset
    names = ["frame_auc", "frame_ap"]
    paper = quoted_results(dataset)
    heading = f"Coarse-grained detection on {dataset} (%)"
    cells: list[list[object]] = []
    if paper is not None:
        heading = paper["coarse"]["heading"]
        column = names.index(paper["coarse"]["metric"])
        for name, value in paper["coarse"]["methods"].items():
            values: list[object] = [None, None]
            values[column] = f"{value:.2f}"
            cells.append([name, *values, QUOTED])
    metrics = [(name, 100.0) for name in names]
    cells += _random_row(rows, metrics)
    cells += [_measured(row, metrics, about) for row in rows]
    columns, notes = ["method", "frame AUC", "frame AP", "source"], []
    if any(record["native"] for row in rows for record in row.done):
        native = {row.label: [estimate([record["native"] for record in row.done], *metric)
                              for metric in metrics] for row in rows}  # fmt: skip
        cells = [[*cell[:-1], *native.get(str(cell[0]), [None, None]), cell[-1]] for cell in cells]
        columns[-1:] = ["AUC, native selection", "AP, native selection", "source"]
        notes = ["Native selection: the best value of all looks at the test set; optimistic."]
    table = PaperTable(heading, columns, cells, [*notes, *about.notes])
    return with_footnotes(table, "coarse", dataset)


def _newer(rows: Sequence[Row], about: _About) -> PaperTable:
    metrics = list(NEWER.values())
    cells = [
        *_random_row(rows, metrics),
        *(_measured(row, metrics, about) for row in rows),
    ]
    note = (
        "Percent, but for false alarms. The latency-aware AP is exvad's definition (see "
        "docs/baselines.md), not comparable with published LaAP values. The class accuracy of a "
        "coarse row, of two classes, is left out."
    )
    columns, notes = ["method", *NEWER, "source"], [note, *about.notes]
    return PaperTable("More metrics of frames and videos", columns, cells, notes)


def _efficiency(rows: Sequence[Row], efficiency_of: str) -> PaperTable:
    """Return Table 7: parameters, time and MACs."""
    columns = ["method", "trainable parameters (M)", "time (ms)", "MACs (G)", "training (s)"]
    cells: list[list[object]] = [
        [name, f"{parameters:.2f}", f"{time:.2f}", f"{macs:.2f}", None,
         f"{QUOTED}, time of a frame"]
        for name, (parameters, time, macs) in quoted_efficiency().items()
    ]  # fmt: skip
    for row in rows:
        cost = row.efficiency
        if cost is None:
            continue
        seconds = estimate(row.done, "training_seconds")
        values = [
            f"{cost['parameters'] / 1e6:.3f}",
            f"{1e3 * cost['seconds']:.2f}",
            f"{cost['macs'] / 1e9:.3f}",
        ]
        source = f"measured, {efficiency_of}, D = {cost['image_width']}"
        source += f", text {cost['text_width']} wide" if cost["text_width"] else ""
        cells.append([row.title, *values, seconds, f"{source}, one CPU core"])
    notes = [
        "The quoted rows had inputs of different sizes: see their ratios of MACs to parameters.",
        "MACs of matrix products and convolutions. Training: all learning rates that were tried, "
        "the class head and the looks at the split that selects, beside other trainings.",
    ]
    heading = "Table 7. Efficiency"
    return with_footnotes(PaperTable(heading, [*columns, "source"], cells, notes), "efficiency", "")


def _per_class(rows: Sequence[Row]) -> list[PaperTable]:
    classes = list(
        dict.fromkeys(
            label for row in rows for record in row.done for label in record["per_class"] or {}
        )
    )
    tables = []
    for label in classes:
        cells: list[list[object]] = []
        for row in rows:
            per_seed = [(record["per_class"] or {}).get(label) for record in row.done]
            known = [metrics for metrics in per_seed if metrics is not None]
            if known:
                values = [_cell(known, name, scale) for name, scale in PER_CLASS.values()]
                cells.append(
                    [row.title, *values, f"measured, {count_of(known[0]['videos'], 'video')}"]
                )
        heading = f"{label} against all normal videos (%)"
        tables.append(PaperTable(heading, ["method", *PER_CLASS, "source"], cells))
    return tables


def _random_row(rows: Sequence[Row], metrics: Sequence[tuple[str, float]]) -> list[list[object]]:
    known = [record["random"] for row in rows if row.way != "coarse" for record in row.done]
    if not known:
        return []
    return [["random baseline", *(estimate(known[:1], *metric) for metric in metrics), "measured"]]


def _measured(
    row: Row,
    metrics: Sequence[tuple[str, float]],
    about: _About,
    protocol: str = "",
) -> list[object]:
    per_seed = [{**_metrics(record), "intervals": record["intervals"]} for record in row.done]
    cells = [_cell(per_seed, name, scale) for name, scale in metrics]
    return [row.label, *cells, _source(row, about, protocol)]


def _metrics(record: Record) -> Mapping[str, float | None]:
    """Return the metrics of a record that compare with those of other rows."""
    # Normal or abnormal is easier than one of all classes.
    own = {"class_accuracy": None} if record["way"] == "coarse" else {}
    return {**record["metrics"], **own}


def _cell(per_seed: Sequence[Mapping[str, Any]], name: str, scale: float) -> Cell | None:
    value = estimate(per_seed, name, scale)
    if value is None:
        return None
    intervals = [metrics.get("intervals", {}).get(name) for metrics in per_seed]
    known = [interval for interval in intervals if interval is not None]
    if len(known) < len(per_seed):
        return Cell(value, None)
    low, high = (scale * np.mean(known, axis=0)).tolist()
    return Cell(value, (low, high))


def _source(row: Row, about: _About, protocol: str) -> str:
    """Return how a row was measured: protocol, seeds, selection, rate, text, crops, videos."""
    videos = in_words(row.done[0]["videos"], about.splits)
    if "untrained" in row.done[0]:
        record = row.done[0]
        named = [protocol] if protocol else []
        how = ["without training", record["untrained"], f"{record['crops']}"]
        return ", ".join(["measured", *named, *how, *videos])
    seeds = len(row.done)
    unit = "epoch" if row.done[0]["steps"] is None else "step"
    parts = [
        "measured",
        *([protocol] if protocol else []),
        count_of(seeds, "seed"),
        f"{unit} chosen on {about.selected_on} by labels of videos",
    ]
    factors = sorted({record["selection"].get("rate_factor", 1.0) for record in row.done})
    if factors != [1.0]:
        parts.append(f"published learning rate × {', '.join(f'{factor:g}' for factor in factors)}")
    for option in row.done[0]["chosen"]:
        values = sorted({record["chosen"][option] for record in row.done})
        chosen = " and ".join(f"{value:g}" for value in values)
        parts.append(f"{option} {chosen} chosen in the same way")
    if row.done[0]["text"] != "none":
        parts.append(f"text: {row.done[0]['text']}")
    parts.append(f"{row.done[0]['crops']} for training and test")
    if about.dataset in SYSTEMS[row.done[0]["system"]].published:
        parts.append(f"built as published for {about.dataset}")
    return ", ".join([*parts, *videos])
