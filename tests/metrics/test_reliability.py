"""The calibration error agrees with a mean over bins, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from exvad.metrics import calibration_error
from tests.helpers.metric_cases import seeds


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_calibration_error_equals_a_mean_over_bins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score_M = np.round(rng.random(50), int(rng.integers(1, 4)))
    positive_M, negative_M = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    positive_M[0] = 1
    total, error = (positive_M + negative_M).sum(), 0.0
    for number in range(10):
        inside = [m for m in range(50) if min(int(score_M[m] * 10), 9) == number]
        labels = [1] * sum(positive_M[m] for m in inside)
        labels += [0] * sum(negative_M[m] for m in inside)
        confidences = [score_M[m] for m in inside for _ in range(positive_M[m] + negative_M[m])]
        if labels:
            error += len(labels) / total * abs(np.mean(labels) - np.mean(confidences))
    assert calibration_error(score_M, positive_M, negative_M, 10) == pytest.approx(error)


def test_calibration_error_is_the_distance_of_a_constant_score() -> None:
    score_M, positive_M = np.array([0.75, 0.75]), np.array([2, 0])
    assert calibration_error(score_M, positive_M, np.array([1, 1])) == pytest.approx(0.25)


def test_calibration_error_refuses_what_is_no_probability() -> None:
    one = np.array([1])
    with pytest.raises(ValueError, match="from 0 to 1"):
        calibration_error(np.array([1.5]), one, one)
    with pytest.raises(ValueError, match="nothing counts"):
        calibration_error(np.array([0.5]), one * 0, one * 0)
    with pytest.raises(ValueError, match="as many counts"):
        calibration_error(np.array([0.5, 0.5]), one, one)
