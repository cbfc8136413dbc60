"""Bootstrap intervals: how far a figure of a test set might be from that of all such videos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Measure = Callable[["NDArray[np.intp]"], Mapping[str, float | None]]


def intervals(
    measure: Measure,
    abnormal_N: NDArray[np.bool_],
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Draw videos with replacement, measure each draw, and return percentile intervals.

    Normal and abnormal videos are drawn apart, so that every draw has as many of each as the test
    set has: figures that need both exist in every draw.

    Args:
        measure: the figures of the videos with the given numbers; repeated numbers count again.
        abnormal_N: which videos are abnormal.
        resamples: how many draws.
        level: share of the draws inside the interval, 0 to 1.
        seed: draws the draws.

    Returns:
        Figure → (low, high); a figure that is None in any draw is left out.

    Raises:
        ValueError: fewer than 2 draws, or a level outside (0, 1).
    """
    if resamples < 2 or not 0 < level < 1:
        raise ValueError(f"{resamples} draws at level {level}: at least 2, between 0 and 1")
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(abnormal_N), np.flatnonzero(~abnormal_N)]
    drawn: dict[str, list[float]] = {}
    for _ in range(resamples):
        chosen = np.concatenate([rng.choice(group, len(group)) for group in groups if len(group)])
        for name, value in measure(chosen).items():
            if value is not None:
                drawn.setdefault(name, []).append(value)
    tails = [50 * (1 - level), 50 * (1 + level)]
    found = {}
    for name, values in drawn.items():
        if len(values) == resamples:
            low, high = np.percentile(values, tails)
            found[name] = (float(low), float(high))
    return found
