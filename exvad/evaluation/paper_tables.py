"""Results in the layout of the paper's tables: measured rows beside quoted ones, each marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import yaml

from exvad.config.counts import count_of
from exvad.evaluation.scored import Metrics
from exvad.metrics import IOUS

QUOTED = "quoted"
UNKNOWN = "–"


@dataclass(frozen=True)
class Estimate:
    """A metric over several seeds.

    Args:
        mean: its mean.
        deviation: its standard deviation (n − 1); None for a single seed.
    """

    mean: float
    deviation: float | None

    def __str__(self) -> str:
        """Return the estimate with two decimals, as the paper writes it."""
        spread = "" if self.deviation is None else f" ± {self.deviation:.2f}"
        return f"{self.mean:.2f}{spread}"


def estimate(runs: Sequence[Metrics], name: str, scale: float = 1.0) -> Estimate | None:
    """Return mean and deviation of a metric over runs; None if any run lacks it.

    Args:
        runs: the summary metrics of each run.
        name: the metric.
        scale: factor on every value, such as 100 for percent.
    """
    values = [run.get(name) for run in runs]
    known = [value * scale for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return Estimate(float(np.mean(known)), float(np.std(known, ddof=1)) if len(known) > 1 else None)


@dataclass(frozen=True)
class PaperTable:
    """A table of results; its last column says whether a row is measured or quoted.

    Args:
        heading: what the table shows.
        columns: names of the columns.
        rows: cells; None for an unknown value.
        notes: sentences below the table.
    """

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    notes: Sequence[str] = ()

    def text_rows(self) -> list[list[str]]:
        """Return the cells as text, with a dash for unknown values."""
        return [[UNKNOWN if cell is None else str(cell) for cell in row] for row in self.rows]

    def markdown(self) -> str:
        """Return the table as Markdown."""
        lines = [
            f"**{self.heading}**",
            "",
            _markdown_line(self.columns),
            "|" + " --- |" * len(self.columns),
            *map(_markdown_line, self.text_rows()),
        ]
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"


def as_markdown(tables: Sequence[PaperTable]) -> str:
    """Return tables as Markdown, one after the other."""
    return "\n".join(table.markdown() for table in tables)


def _markdown_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def quoted_results(dataset: str) -> dict[str, Any] | None:
    """Return the results that the paper reports for a data set; None where it has none."""
    by_dataset = read_paper_file("quoted.yaml")
    return by_dataset.get(dataset)


def read_paper_file(name: str) -> dict[str, Any]:
    """Return the content of a YAML file of `exvad/assets/paper/`."""
    text = (resources.files("exvad") / "assets" / "paper" / name).read_text("utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def result_tables(
    dataset: str, runs: Sequence[Metrics], random_baseline: Metrics, protocol: str, selected_on: str
) -> list[PaperTable]:
    """Return Tables 1 (or 2) and 3 of the paper with the measured rows added.

    Args:
        dataset: the kind of data set; the paper's rows are included if the paper reports on it.
        runs: the summary metrics of each seed.
        random_baseline: the summary metrics of random predictions.
        protocol: of the measured mAP, `vadclip` or `strict`.
        selected_on: the split the epoch was chosen on; any but validation is named in the table.
    """
    paper = quoted_results(dataset)
    source = measured_source(protocol, len(runs), selected_on)
    return [
        _fine_table(dataset, paper, runs, random_baseline, protocol, source),
        _coarse_table(dataset, paper, runs, random_baseline, source),
    ]


def _fine_table(
    dataset: str,
    paper: dict[str, Any] | None,
    runs: Sequence[Metrics],
    random_baseline: Metrics,
    protocol: str,
    source: str,
) -> PaperTable:
    """Return Table 1 or 2: detection mAP by IoU."""
    ious = [f"{iou:.1f}" for iou in IOUS]
    names = [f"map_{protocol}_{key}" for key in (*ious, "average")]
    rows: list[list[object]] = []
    heading = f"Fine-grained detection on {dataset}, mAP@IoU (%)"
    if paper is not None:
        heading = paper["table"]
        for method, values in paper["fine"].items():
            rows.append([method, *(f"{value:.2f}" for value in values), QUOTED])
    baseline = (estimate([random_baseline], name) for name in names)
    rows.append(["random baseline", *baseline, f"measured, {protocol}"])
    rows.append(["exvad", *(estimate(runs, name) for name in names), source])
    return PaperTable(heading, ["method", *ious, "average", "source"], rows)


def _coarse_table(
    dataset: str,
    paper: dict[str, Any] | None,
    runs: Sequence[Metrics],
    random_baseline: Metrics,
    source: str,
) -> PaperTable:
    """Return Table 3: frame AUC or frame AP."""
    names = ["frame_auc", "frame_ap"]
    rows: list[list[object]] = []
    heading = f"Coarse-grained detection on {dataset} (%)"
    if paper is not None:
        names, heading = [paper["coarse"]["metric"]], paper["coarse"]["heading"]
        for method, value in paper["coarse"]["methods"].items():
            rows.append([method, f"{value:.2f}", QUOTED])
    baseline = (estimate([random_baseline], name, 100) for name in names)
    rows.append(["random baseline", *baseline, "measured"])
    rows.append(["exvad", *(estimate(runs, name, 100) for name in names), source])
    return PaperTable(heading, ["method", *names, "source"], rows)


def measured_source(protocol: str, seeds: int, selected_on: str) -> str:
    """Return the source column of a measured row: protocol, seeds, and the split of selection."""
    selection = "" if selected_on == "val" else f", epoch chosen on the {selected_on} split"
    return f"measured, {protocol}, {count_of(seeds, 'seed')}{selection}"
