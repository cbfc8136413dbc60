"""Results in the paper's own layout: measured rows beside quoted ones, each marked as such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from exvad.metrics import IOUS

Figures = Mapping[str, float | None]

QUOTED = "quoted"
STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 0 0 2.5rem; font-variant-numeric: tabular-nums }
caption { text-align: left; font-weight: 600; padding-bottom: .5rem }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #8884 }
th:first-child, td:first-child, th:last-child, td:last-child { text-align: left }
tr.quoted { opacity: .65 }
tr.measured { font-weight: 600 }
"""


@dataclass(frozen=True)
class Estimate:
    """A figure over several seeds.

    Args:
        mean: its mean.
        deviation: its standard deviation (n − 1); None for a single seed.
    """

    mean: float
    deviation: float | None

    def __str__(self) -> str:
        """Write it with two decimals, as the paper does."""
        spread = "" if self.deviation is None else f" ± {self.deviation:.2f}"
        return f"{self.mean:.2f}{spread}"


def summarise(runs: Sequence[Figures], name: str, scale: float = 1.0) -> Estimate | None:
    """Return mean and deviation of a figure over runs; None where any run lacks it."""
    values = [run.get(name) for run in runs]
    known = [value * scale for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return Estimate(float(np.mean(known)), float(np.std(known, ddof=1)) if len(known) > 1 else None)


@dataclass(frozen=True)
class Table:
    """A table; its last column says of every row whether it was measured or quoted.

    Args:
        heading: what it shows.
        columns: names of the columns.
        rows: cells; None for what is not known.
    """

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]

    def markdown(self) -> str:
        """Write it as Markdown."""
        lines = [f"**{self.heading}**", "", _line(self.columns), "|" + " --- |" * len(self.columns)]
        return "\n".join([*lines, *map(_line, self.rows)]) + "\n"

    def html(self) -> str:
        """Write it as HTML; quoted rows are paler than measured ones."""
        head = "".join(f"<th>{_escaped(name)}</th>" for name in self.columns)
        body = []
        for row in self.rows:
            kind = "quoted" if str(row[-1]).startswith(QUOTED) else "measured"
            cells = "".join(f"<td>{_escaped(cell)}</td>" for cell in row)
            body.append(f'<tr class="{kind}">{cells}</tr>')
        caption = f"<caption>{_escaped(self.heading)}</caption>"
        return (
            f"<table>{caption}<thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody></table>\n"
        )


def as_markdown(tables: Sequence[Table]) -> str:
    """Write tables one after the other as Markdown."""
    return "\n".join(table.markdown() for table in tables)


def as_page(title: str, tables: Sequence[Table], drawings: Sequence[str] = ()) -> str:
    """Write tables, and drawings as SVG below them, as a page that stands on its own."""
    content = "".join([*(table.html() for table in tables), *drawings])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_escaped(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{_escaped(title)}</h1>\n{content}</body></html>\n"
    )


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join('–' if cell is None else str(cell) for cell in cells)} |"


def _escaped(cell: object) -> str:
    return "–" if cell is None else escape(str(cell))


def quoted(dataset: str) -> dict[str, Any] | None:
    """Return the paper's figures of a data set; None where it has none."""
    import yaml

    text = (resources.files("exvad") / "assets" / "paper" / "quoted.yaml").read_text()
    known: dict[str, Any] = yaml.safe_load(text)
    return known.get(dataset)


def result_tables(
    dataset: str, runs: Sequence[Figures], random_baseline: Figures, protocol: str, selected_on: str
) -> list[Table]:
    """Write Tables 1 or 2 and 3 of the paper with the measured rows.

    Args:
        dataset: the kind of data set; the paper's rows stand beside those it has figures of.
        runs: the headline figures of each seed.
        guessing: the headline figures of blind guessing.
        protocol: of the measured mAP, `vadclip` or `strict`.
        selected_on: the split the epoch was chosen on; anything but validation is said.
    """
    paper = quoted(dataset)
    ours = measured(protocol, len(runs), selected_on)
    ious = [f"{iou:.1f}" for iou in IOUS]
    keys = [f"map_{protocol}_{key}" for key in (*ious, "average")]
    fine: list[list[object]] = []
    if paper is not None:
        fine += [
            [name, *(f"{value:.2f}" for value in values), QUOTED]
            for name, values in paper["fine"].items()
        ]
    fine.append(
        ["guessing", *(summarise([random_baseline], key) for key in keys), f"measured, {protocol}"]
    )
    fine.append(["exvad", *(summarise(runs, key) for key in keys), ours])
    heading = f"Fine-grained detection on {dataset}, mAP@IoU (%)"
    columns = ["method", *ious, "average", "source"]
    tables = [Table(heading if paper is None else paper["table"], columns, fine)]
    coarse: list[list[object]] = []
    figures = ["frame_auc", "frame_ap"]
    heading = f"Coarse-grained detection on {dataset} (%)"
    if paper is not None:
        figures, heading = [paper["coarse"]["figure"]], paper["coarse"]["heading"]
        coarse += [
            [name, f"{value:.2f}", QUOTED] for name, value in paper["coarse"]["methods"].items()
        ]
    for name, rows, source in (("guessing", [random_baseline], "measured"), ("exvad", runs, ours)):
        coarse.append([name, *(summarise(rows, figure, 100) for figure in figures), source])
    tables.append(Table(heading, ["method", *figures, "source"], coarse))
    return tables


def measured(protocol: str, seeds: int, selected_on: str) -> str:
    """Say of a measured row how it came about."""
    chosen = "" if selected_on == "val" else f", epoch chosen on the {selected_on} split"
    return f"measured, {protocol}, {seeds} seed{'s' if seeds > 1 else ''}{chosen}"
