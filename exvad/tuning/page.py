"""The page of a sweep: Pareto front, importance of settings, and the effect of each setting.

This module places marks in pixels of SVG drawings; `exvad/report/templates/sweep.html.j2` draws
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.config.counts import count_of
from exvad.report.rendering import render
from exvad.tuning.records import OBJECTIVES, TrialRecord, best_first, pareto_front
from exvad.tuning.space import Choice, Dimension, IntRange

if TYPE_CHECKING:
    from exvad.tuning.confirm import ConfirmedSetting

WIDTH, HEIGHT, EDGE = 560, 300, 48
NUM_TICKS = 5
PARETO_TOP = 40  # below the title of the axis
AXIS_DISTANCE, AXIS_TOP, AXIS_BOTTOM = 130, 20, HEIGHT - 60
ROW_HEIGHT, FULL_BAR = 24, 320
MAX_BINS, MAX_VALUES = 5, 9
NUM_BEST = 3  # trials that stand out among all
# Metric, its name, its CSS class, and pixels beside the middle of a column.
SENSITIVITY = (("best_val_auc", "AUC", "auc", -6), ("best_val_map", "mAP", "map", 6))


@dataclass(frozen=True)
class Scale:
    """A linear map from values to pixels.

    Args:
        values: the values; the lowest and the highest are the ends of the scale.
        low_pixel: position of the lowest value.
        high_pixel: position of the highest value.
    """

    values: Sequence[float]
    low_pixel: float
    high_pixel: float

    @property
    def bounds(self) -> tuple[float, float]:
        """The values at the ends."""
        low, high = min(self.values), max(self.values)
        return (low - 0.5, high + 0.5) if high - low < 1e-9 else (low, high)

    def position(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high = self.bounds
        return self.low_pixel + (self.high_pixel - self.low_pixel) * (value - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Return evenly spaced marks: position and text."""
        low, high = self.bounds
        values = [low + (high - low) * n / (NUM_TICKS - 1) for n in range(NUM_TICKS)]
        return [(self.position(value), f"{value:.3g}") for value in values]


def render_sweep(
    records: Sequence[TrialRecord],
    confirmed: Sequence[ConfirmedSetting],
    space: Mapping[str, Dimension],
    commands: Sequence[str],
    importance: Mapping[str, float],
    note: str,
) -> str:
    """Render a sweep as one self-contained HTML page.

    Args:
        records: the trials.
        confirmed: the confirmed settings, the winner first.
        space: the search space.
        commands: how to train and serve the winner.
        importance: setting → share of the differences that it explains, 0 to 1.
        note: how the winner compares with the setting that the sweep started from.
    """
    usable = best_first(records)
    return render(
        "sweep.html.j2",
        width=WIDTH,
        height=HEIGHT,
        edge=EDGE,
        axis_top=AXIS_TOP,
        axis_bottom=AXIS_BOTTOM,
        num_trials=len(records),
        num_usable=len(usable),
        num_pruned=sum(record.pruned for record in records),
        failed=[
            (record.parameters, record.error) for record in records if record.error is not None
        ],
        confirmed=[(setting.estimate, _describe(setting.parameters)) for setting in confirmed],
        num_seeds=len(confirmed[0].scores) if confirmed else 0,
        commands=commands,
        note=note,
        pareto=_pareto(usable, pareto_front(records)),
        importance=_importance_bars(importance),
        importance_height=12 + ROW_HEIGHT * len(importance),
        parallel=_parallel_coordinates(usable, space),
        sensitivity=SENSITIVITY,
        panels=[
            _sensitivity_panel(name, groups)
            for name, dimension in space.items()
            if (groups := _group_by_value(name, dimension, usable))
        ],
    )


def _describe(parameters: Mapping[str, Any]) -> str:
    return " ".join(
        f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in parameters.items()
    )


def _pareto(usable: Sequence[TrialRecord], front: Sequence[TrialRecord]) -> dict[str, Any] | None:
    """Place the trials by AUC (x) and mAP (y); None without usable trials."""
    if not usable:
        return None
    auc, precision = OBJECTIVES
    x = Scale([record.metrics[auc] for record in usable], EDGE + 10, WIDTH - 20)
    y = Scale([record.metrics[precision] for record in usable], HEIGHT - EDGE, PARETO_TOP)
    return {
        "label": f"{len(front)} of {count_of(len(usable), 'trial')} on the Pareto front",
        "x_ticks": x.ticks(),
        "y_ticks": y.ticks(),
        "points": [
            {
                "x": x.position(record.metrics[auc]),
                "y": y.position(record.metrics[precision]),
                "best": record in front,
                "auc": record.metrics[auc],
                "map": record.metrics[precision],
                "setting": _describe(record.parameters),
            }
            for record in usable
        ],
    }


def _importance_bars(importance: Mapping[str, float]) -> list[dict[str, Any]]:
    """Place one bar per setting, the most important first."""
    ranked = sorted(importance.items(), key=lambda item: -item[1])
    return [
        {"name": name, "top": 6 + ROW_HEIGHT * row, "width": FULL_BAR * share, "share": share}
        for row, (name, share) in enumerate(ranked)
    ]


def _parallel_coordinates(
    usable: Sequence[TrialRecord], space: Mapping[str, Dimension]
) -> dict[str, Any] | None:
    """Place one axis per setting and one for the score, and one line per trial, the best last."""
    if not usable:
        return None
    score = Scale([record.score for record in usable], 0, 1)
    axes = [(name, *_ends(dimension)) for name, dimension in space.items()]
    axes.append(("score", min(score.values), max(score.values)))
    lines = []
    for rank, record in reversed(list(enumerate(usable))):
        shares = [_share(record.parameters[name], space[name]) for name in space]
        shares.append(score.position(record.score))
        lines.append(
            {
                "points": [
                    (_axis_x(index), AXIS_BOTTOM - (AXIS_BOTTOM - AXIS_TOP) * share)
                    for index, share in enumerate(shares)
                ],
                "best": rank < NUM_BEST,
                "score": record.score,
                "setting": _describe(record.parameters),
            }
        )
    return {
        "width": AXIS_DISTANCE * len(axes),
        "axes": [
            (_axis_x(index), name, _short(low), _short(high))
            for index, (name, low, high) in enumerate(axes)
        ],
        "lines": lines,
    }


def _axis_x(index: int) -> int:
    return 60 + AXIS_DISTANCE * index


def _ends(dimension: Dimension) -> tuple[Any, Any]:
    if isinstance(dimension, Choice):
        return dimension.values[0], dimension.values[-1]
    return dimension.low, dimension.high


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _share(value: Any, dimension: Dimension) -> float:
    """Return the position of a value between the ends of its dimension, 0 to 1."""
    if isinstance(dimension, Choice):
        return dimension.values.index(value) / max(1, len(dimension.values) - 1)
    low, high, position = dimension.low, dimension.high, float(value)
    if dimension.log:
        low, high, position = np.log(low), np.log(high), np.log(position)
    return float((position - low) / (high - low))


def _group_by_value(
    name: str, dimension: Dimension, usable: Sequence[TrialRecord]
) -> dict[str, list[TrialRecord]]:
    """Group trials by the value of a setting; a range with many values is split into bins."""
    values: Sequence[Any] | None = None
    if isinstance(dimension, Choice):
        values = dimension.values
    elif isinstance(dimension, IntRange) and dimension.high - dimension.low < MAX_VALUES:
        values = range(int(dimension.low), int(dimension.high) + 1)
    groups: dict[str, list[TrialRecord]] = {}
    if values is not None:
        for value in values:
            groups[str(value)] = [r for r in usable if r.parameters[name] == value]
    else:
        ranked = sorted(usable, key=lambda record: float(record.parameters[name]))
        num_bins = min(MAX_BINS, max(1, len(ranked)))
        for indices in np.array_split(np.arange(len(ranked)), num_bins):
            members = [ranked[index] for index in indices]
            if members:
                middle = float(np.median([float(r.parameters[name]) for r in members]))
                groups[f"{middle:.3g}"] = members
    return {label: members for label, members in groups.items() if members}


def _sensitivity_panel(name: str, groups: Mapping[str, Sequence[TrialRecord]]) -> dict[str, Any]:
    """Place mean and deviation of AUC and mAP for each value of a setting (Figure 4)."""
    estimates = {
        (label, metric): _mean_and_deviation([record.metrics[metric] for record in members])
        for label, members in groups.items()
        for metric, *_ in SENSITIVITY
    }
    ends = [mean + sign * spread for mean, spread in estimates.values() for sign in (-1, 1)]
    y = Scale(ends, HEIGHT - EDGE, 28)
    step = (WIDTH - EDGE - 20) / len(groups)
    columns = []
    for index, (label, members) in enumerate(groups.items()):
        middle = EDGE + step * (index + 0.5)
        points = []
        for metric, title, css_class, shift in SENSITIVITY:
            mean, spread = estimates[label, metric]
            points.append(
                {
                    "x": middle + shift,
                    "y": y.position(mean),
                    "low_y": y.position(mean - spread),
                    "high_y": y.position(mean + spread),
                    "css_class": css_class,
                    "text": f"{title} {mean:.4f} ± {spread:.4f}, {count_of(len(members), 'trial')}",
                }
            )
        columns.append({"x": middle, "label": label, "points": points})
    return {"name": name, "y_ticks": y.ticks(), "columns": columns}


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
