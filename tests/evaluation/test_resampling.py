"""Metrics of resamples equal those of the drawn videos measured from scratch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exvad.evaluation.resampling import ResampledDetection, ResampledMetrics
from tests.helpers.scored_sets import CLASSES, NUM_VIDEOS, make_scored


@pytest.mark.parametrize("seed", range(6))
def test_resampled_metrics_equal_those_measured_from_scratch(seed: int) -> None:
    scored = make_scored(seed)
    if seed % 2:
        scored = replace(scored, unlocated=frozenset({"v0", "v4"}))
    compute_metrics = ResampledMetrics(scored)
    rng = np.random.default_rng(seed)
    abnormal, normal = np.flatnonzero(scored.abnormal), np.flatnonzero(~scored.abnormal)
    draws = [
        np.arange(NUM_VIDEOS),
        *(rng.choice(NUM_VIDEOS, NUM_VIDEOS) for _ in range(5)),
        rng.choice(abnormal, 3),
        rng.choice(normal, 3),
    ]
    for chosen in draws:
        metrics, expected = compute_metrics(chosen), scored.summary(chosen)
        assert set(metrics) == set(expected)
        for name, value in expected.items():
            if not scored.abnormal[chosen].any() and name.startswith("map_strict"):
                continue  # without abnormal videos there are no events
            close = None if value is None else pytest.approx(value, abs=1e-9)
            assert metrics[name] == close, name


def test_resampled_detection_follows_the_floor_of_the_drawn_videos() -> None:
    """Half of the resamples drop the video with the lowest score, which holds the floor."""
    rng = np.random.default_rng(0)
    scores = [rng.random((12, 2)) for _ in range(6)]
    scores[0][4, 1] = -1
    events = [[(16, 96, "Fighting")] for _ in scores]
    detection = ResampledDetection(scores, events, CLASSES[:2], "strict", 16)
    with_lowest = detection.per_iou(np.array([1, 1, 1, 1, 1, 1]))
    without_lowest = detection.per_iou(np.array([0, 2, 1, 1, 1, 1]))
    assert with_lowest != without_lowest
    remaining = ResampledDetection(scores[1:], events[1:], CLASSES[:2], "strict", 16)
    assert without_lowest == remaining.per_iou(np.array([2, 1, 1, 1, 1]))


def test_resampled_metrics_without_event_times_are_those_of_whole_videos() -> None:
    metrics = ResampledMetrics(make_scored(0, timed=False))(np.arange(NUM_VIDEOS))
    assert {name for name, value in metrics.items() if value is not None} == {
        "video_auc",
        "class_accuracy",
    }
