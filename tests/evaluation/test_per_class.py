"""Metrics per class are those of the class's and the normal videos alone."""

from __future__ import annotations

import numpy as np
import pytest

from exvad.evaluation.per_class import metrics_per_class
from exvad.evaluation.scored import FRAME_METRICS
from tests.helpers.scored_sets import CLASSES, make_scored


def test_metrics_per_class_equal_those_of_a_test_set_without_the_other_classes() -> None:
    scored = make_scored(3)
    per_class = metrics_per_class(scored, resamples=20)
    assert per_class is not None
    assert set(per_class) == set(CLASSES[1:])
    for label, metrics in per_class.items():
        chosen = [
            index
            for index, video in enumerate(scored.videos)
            if label in video.labels or not video.abnormal
        ]
        expected = scored.summary(np.array(chosen))
        for name in FRAME_METRICS:
            assert metrics[name] == pytest.approx(expected[name]), (label, name)
        assert metrics["videos"] == sum(label in video.labels for video in scored.videos)
        low, high = metrics["intervals"]["latency_ap"]
        assert low <= high


def test_metrics_per_class_need_times_of_events() -> None:
    assert metrics_per_class(make_scored(0, timed=False)) is None
