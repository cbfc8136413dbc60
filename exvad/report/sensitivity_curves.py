"""Sensitivity curves (Figure 4): metrics over the values of a setting, with error bars, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from exvad.evaluation.ablation_plan import Plan, PlannedCurve, cell_name, estimate_percent
from exvad.evaluation.paper_tables import Estimate
from exvad.evaluation.scored import Metrics
from exvad.report.rendering import render

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 54, 16, 40, 44
GRID_LINES = 5
MARGIN = 0.12  # free space above and below the points, as a share of their range


@dataclass(frozen=True)
class Point:
    """A measured point: pixels of its centre and of the ends of its error bar."""

    x: float
    y: float
    low_y: float
    high_y: float
    text: str


@dataclass(frozen=True)
class Panel:
    """The drawing of one metric; without points the metric was not measured."""

    metric: str
    points: list[Point]
    grid: list[tuple[float, str]]  # y, value
    labels: list[tuple[float, str]]  # x, value of the setting


def draw_curves(
    plan: Plan, results: Mapping[str, Sequence[Metrics]], protocol: str
) -> Iterator[tuple[PlannedCurve, str]]:
    """Draw every curve of a plan.

    Args:
        plan: what was compared.
        results: cell name → the summary metrics of each seed.
        protocol: protocol of the mAP metrics.

    Yields:
        The curve and its SVG, with one panel per metric.
    """
    for curve in plan.curves:
        panels = []
        for metric in curve.metrics:
            estimates = [
                estimate_percent(results[cell_name(settings)], metric, protocol)
                for settings in curve.rows.values()
            ]
            panels.append(_panel(metric, curve.values, estimates))
        yield (
            curve,
            render(
                "sensitivity_curve.svg.j2",
                title=curve.title,
                setting=curve.setting,
                panels=panels,
                width=WIDTH,
                height=HEIGHT,
                left=LEFT,
                right=WIDTH - RIGHT,
                bottom=HEIGHT - BOTTOM,
            ),
        )


def _panel(metric: str, values: Sequence[float], estimates: Sequence[Estimate | None]) -> Panel:
    """Place the estimates of one metric, in percent, one per value of the setting."""
    known = [(index, point) for index, point in enumerate(estimates) if point is not None]
    if not known:
        return Panel(metric, [], [], [])
    low = min(point.mean - (point.deviation or 0) for _, point in known)
    high = max(point.mean + (point.deviation or 0) for _, point in known)
    margin = max(high - low, 1.0) * MARGIN
    low, high = low - margin, high + margin

    def x(index: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (index + 0.5) / len(estimates)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    points = [
        Point(
            x(index),
            y(point.mean),
            y(point.mean - (point.deviation or 0)),
            y(point.mean + (point.deviation or 0)),
            str(point),
        )
        for index, point in known
    ]
    lines = [low + (high - low) * step / (GRID_LINES - 1) for step in range(GRID_LINES)]
    return Panel(
        metric,
        points,
        grid=[(y(value), f"{value:.1f}") for value in lines],
        labels=[(x(index), str(value)) for index, value in enumerate(values)],
    )
