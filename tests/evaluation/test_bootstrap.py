"""Bootstrap intervals have their known width and composition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from exvad.evaluation.bootstrap import bootstrap_intervals, check_resamples


def test_bootstrap_interval_of_a_mean_has_its_known_width() -> None:
    values = np.random.default_rng(0).normal(size=400)
    abnormal = np.arange(400) % 2 == 0

    def mean(chosen: NDArray[np.intp]) -> dict[str, float | None]:
        return {"mean": float(values[chosen].mean()), "unknown": None}

    intervals = bootstrap_intervals(mean, abnormal, resamples=500)
    assert set(intervals) == {"mean"}
    low, high = intervals["mean"]
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.2)
    assert intervals == bootstrap_intervals(mean, abnormal, resamples=500)
    assert intervals != bootstrap_intervals(mean, abnormal, resamples=500, seed=1)


def test_bootstrap_resamples_have_as_many_abnormal_videos_as_the_test_set() -> None:
    abnormal = np.array([True] * 3 + [False] * 7)

    def share(chosen: NDArray[np.intp]) -> dict[str, float | None]:
        return {"share": float(abnormal[chosen].mean())}

    assert bootstrap_intervals(share, abnormal, resamples=20)["share"] == (0.3, 0.3)


def test_bootstrap_refuses_a_single_resample() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        bootstrap_intervals(lambda _: {}, np.array([True, False]), resamples=1)


def test_check_resamples_takes_none_or_enough() -> None:
    for number in (0, 2, 1000):
        check_resamples(number)
    for number in (-1, 1, 10**6):
        with pytest.raises(ValueError, match=f"--resamples {number}: give at least 2"):
            check_resamples(number)
