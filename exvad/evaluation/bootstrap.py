"""Bootstrap intervals: how far a metric may lie from its value on all videos of the kind.

N videos
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

MAX_RESAMPLES = 100_000

MetricFunction = Callable[[NDArray[np.intp]], Mapping[str, float | None]]
"""Maps the indices of videos to metrics; repeated indices count again."""


def check_resamples(resamples: int) -> None:
    """Refuse a number of resamples that no intervals can be computed from.

    Args:
        resamples: the number; 0 stands for no intervals.

    Raises:
        ValueError: it is neither 0 nor in the range of `bootstrap_intervals`.
    """
    if resamples and not 2 <= resamples <= MAX_RESAMPLES:
        raise ValueError(
            f"--resamples {resamples}: give at least 2 and at most {MAX_RESAMPLES}, or 0 for no "
            "intervals"
        )


def bootstrap_intervals(
    compute_metrics: MetricFunction,
    abnormal_N: NDArray[np.bool_],
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Compute percentile intervals of metrics over resamples of the videos.

    Videos are drawn with replacement. Normal and abnormal videos are drawn separately, so that
    every resample has as many of each as the test set: metrics that need both are always defined.

    Args:
        compute_metrics: computes the metrics of a resample.
        abnormal_N: which videos are abnormal.
        resamples: number of resamples, at least 2.
        level: share of the resamples inside the interval, between 0 and 1.
        seed: seed of the random draws.

    Returns:
        Metric → (low, high). A metric that is None in any resample is absent.

    Raises:
        ValueError: there are fewer than 2 resamples or too many, or the level is outside (0, 1).
    """
    if not 2 <= resamples <= MAX_RESAMPLES or not 0 < level < 1:
        raise ValueError(
            f"{resamples} resamples at level {level}: give at least 2, at most "
            f"{MAX_RESAMPLES}, and a level between 0 and 1"
        )
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(abnormal_N), np.flatnonzero(~abnormal_N)]
    samples: dict[str, list[float]] = {}
    for _ in range(resamples):
        chosen_N = np.concatenate([rng.choice(group, len(group)) for group in groups if len(group)])
        for name, value in compute_metrics(chosen_N).items():
            if value is not None:
                samples.setdefault(name, []).append(value)
    tails = [50 * (1 - level), 50 * (1 + level)]
    intervals = {}
    for name, values in samples.items():
        if len(values) == resamples:
            low, high = np.percentile(values, tails)
            intervals[name] = (float(low), float(high))
    return intervals
