"""Curves of the training history, one per metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exvad.report.formatting import is_number
from exvad.report.svg_path import svg_path

NOT_DRAWN = {"epoch", "lr", "learning_rate", "step", "steps", "time", "seconds"}


@dataclass(frozen=True)
class Curve:
    """One metric over the epochs of training.

    Args:
        key: the metric's name in the history.
        line: path of the curve.
        low: lowest value as text.
        high: highest value.
        first_epoch: first epoch.
        last_epoch: last epoch.
        last: value of the last epoch.
        description: the curve in words.
    """

    key: str
    line: str
    low: str
    high: str
    first_epoch: str
    last_epoch: str
    last: str
    description: str


def training_curves(history: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Draw every numeric metric of the history that has values in two epochs or more.

    Args:
        history: one record per epoch; `epoch` gives the horizontal position if it is there.
    """
    keys = dict.fromkeys(key for record in history for key in record if key not in NOT_DRAWN)
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


def _curve(key: str, points: Sequence[tuple[float, float]]) -> Curve:
    epochs, values = [epoch for epoch, _ in points], [value for _, value in points]
    low, high = min(values), max(values)
    width, height = epochs[-1] - epochs[0] or 1.0, high - low
    best = max(values) if key.startswith("val_") else min(values)
    return Curve(
        key=key,
        line=svg_path(
            ((epoch - epochs[0]) / width, (value - low) / height if height else 0.5)
            for epoch, value in points
        ),
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
