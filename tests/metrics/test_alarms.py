"""False alarms per hour agree with a count of runs, one by one."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.metrics import false_alarms_per_hour
from tests.helpers.metric_cases import (
    Events,
    frame_curves,
    frames_per_snippet_values,
    random_test_set,
    seeds,
    spans_of,
)


@settings(max_examples=60, deadline=None)
@given(
    seed=seeds,
    frames_per_snippet=frames_per_snippet_values,
    number_type=st.sampled_from(["float64", "rounded", "binary", "signed"]),
    lengths=st.sampled_from(["exact", "cut", "extended"]),
    recall=st.sampled_from([0.1, 0.5, 0.8, 1.0]),
)
def test_false_alarms_per_hour_equals_a_count_of_runs(
    seed: int, frames_per_snippet: int, number_type: str, lengths: str, recall: float
) -> None:
    scores, events = random_test_set(seed, frames_per_snippet, number_type, videos=5)
    scores = [rows[:, 1] for rows in scores]
    frames, curves = frame_curves(scores, frames_per_snippet, lengths, seed)
    seconds = [float(count) for count in frames]
    spans = [spans_of(of_video, count) for of_video, count in zip(events, frames, strict=True)]
    if not any(spans):
        with pytest.raises(ValueError, match="no event"):
            false_alarms_per_hour(scores, events, seconds, recall, frames, frames_per_snippet)
        return
    for threshold in np.unique(np.concatenate(scores))[::-1]:
        found = [
            any(curve[a:b] >= threshold)
            for curve, of_video in zip(curves, spans, strict=True)
            for a, b in of_video
        ]
        if np.mean(found) >= recall - 1e-12:
            break
    false_alarms = 0
    for curve, of_video in zip(curves, spans, strict=True):
        for above, run in groupby(enumerate(curve >= threshold), lambda pair: bool(pair[1])):
            is_true = any(a <= frame < b for frame, _ in run for a, b in of_video)
            false_alarms += above and not is_true
    rate = false_alarms_per_hour(scores, events, seconds, recall, frames, frames_per_snippet)
    assert rate == pytest.approx(3600 * false_alarms / sum(seconds))


def test_false_alarms_per_hour_counts_an_alarm_once_and_not_over_videos() -> None:
    events: Events = [[(0, 16, "Arson")], []]
    scores = [np.array([0.9, 0.1, 0.9, 0.9]), np.array([0.9, 0.1, 0.1, 0.9])]
    assert false_alarms_per_hour(scores, events, [1800, 1800]) == 3


def test_false_alarms_per_hour_refuses_a_recall_of_zero_and_no_duration() -> None:
    scores = [np.array([0.9, 0.1])]
    with pytest.raises(ValueError, match="recall 0"):
        false_alarms_per_hour(scores, [[(0, 16, "Arson")]], [10], 0)
    with pytest.raises(ValueError, match="durations above 0"):
        false_alarms_per_hour(scores, [[(0, 16, "Arson")]], [0])
