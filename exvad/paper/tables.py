"""Results in the paper's own layout: measured rows beside quoted ones, each marked as such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from exvad.metrics import IOUS

Figures = Mapping[str, float | None]


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


def markdown(heading: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Write a table as Markdown; a missing cell is a dash."""
    lines = [f"**{heading}**", "", f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    lines += [
        f"| {' | '.join('–' if cell is None else str(cell) for cell in row)} |" for row in rows
    ]
    return "\n".join(lines) + "\n"


def quoted(dataset: str) -> dict[str, Any] | None:
    """Return the paper's figures of a data set; None where it has none."""
    import yaml

    text = (resources.files("exvad.paper") / "quoted.yaml").read_text()
    known: dict[str, Any] = yaml.safe_load(text)
    return known.get(dataset)


def result_tables(
    dataset: str, runs: Sequence[Figures], guessing: Figures, protocol: str, selected_on: str
) -> str:
    """Write Tables 1 or 2 and 3 of the paper with the measured rows.

    Args:
        dataset: the kind of data set; the paper's rows stand beside those it has figures of.
        runs: the headline figures of each seed.
        guessing: the headline figures of blind guessing.
        protocol: of the measured mAP, `vadclip` or `strict`.
        selected_on: the split the epoch was chosen on; anything but validation is said.

    Returns:
        Markdown.
    """
    paper = quoted(dataset)
    seeds = f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"
    chosen = "" if selected_on == "val" else f", epoch chosen on the {selected_on} split"
    ours = f"measured, {protocol}, {seeds}{chosen}"
    ious = [f"{iou:.1f}" for iou in IOUS]
    keys = [f"map_{protocol}_{key}" for key in (*ious, "average")]
    fine: list[list[object]] = []
    if paper is not None:
        fine += [
            [name, *(f"{value:.2f}" for value in values), "quoted"]
            for name, values in paper["fine"].items()
        ]
    blind = guessing.get(f"map_{protocol}_average")
    fine.append(
        ["guessing", *[None] * len(ious), None if blind is None else f"{blind:.2f}", "measured"]
    )
    fine.append(["exvad", *(summarise(runs, key) for key in keys), ours])
    heading = f"Fine-grained detection on {dataset}, mAP@IoU (%)"
    parts = [
        markdown(
            heading if paper is None else paper["table"],
            ["method", *ious, "average", "source"],
            fine,
        )
    ]
    coarse: list[list[object]] = []
    figures = ["frame_auc", "frame_ap"]
    heading = f"Coarse-grained detection on {dataset} (%)"
    if paper is not None:
        figures, heading = [paper["coarse"]["figure"]], paper["coarse"]["heading"]
        coarse += [
            [name, f"{value:.2f}", "quoted"] for name, value in paper["coarse"]["methods"].items()
        ]
    for name, rows, source in (("guessing", [guessing], "measured"), ("exvad", runs, ours)):
        coarse.append([name, *(summarise(rows, figure, 100) for figure in figures), source])
    parts.append(markdown(heading, ["method", *figures, "source"], coarse))
    return "\n".join(parts)
