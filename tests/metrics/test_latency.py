"""Latency-aware AP agrees with a count frame by frame, and rewards early alarms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.metrics import latency_aware_ap
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
    number_type=st.sampled_from(["float64", "float32", "rounded", "binary", "signed"]),
    lengths=st.sampled_from(["exact", "cut", "extended"]),
)
def test_latency_aware_ap_equals_a_count_frame_by_frame(
    seed: int, frames_per_snippet: int, number_type: str, lengths: str
) -> None:
    scores, events = random_test_set(seed, frames_per_snippet, number_type, videos=4)
    scores = [rows[:, 1] for rows in scores]
    frames, curves = frame_curves(scores, frames_per_snippet, lengths, seed)
    spans = [spans_of(of_video, count) for of_video, count in zip(events, frames, strict=True)]
    if not any(spans):
        with pytest.raises(ValueError, match="no event"):
            latency_aware_ap(scores, events, frames, frames_per_snippet)
        return
    truth = [
        np.array([any(a <= t < b for a, b in of_video) for t in range(count)])
        for of_video, count in zip(spans, frames, strict=True)
    ]
    total = recall_before = 0.0
    for threshold in np.unique(np.concatenate(scores))[::-1]:
        credits = []
        for curve, of_video in zip(curves, spans, strict=True):
            for a, b in of_video:
                noticed = [t for t in range(a, b) if curve[t] >= threshold]
                credits.append((b - noticed[0]) / (b - a) if noticed else 0.0)
        alarmed = np.concatenate([curve >= threshold for curve in curves])
        precision = np.concatenate(truth)[alarmed].mean() if alarmed.any() else 0.0
        recall = float(np.mean(credits))
        total += (recall - recall_before) * precision
        recall_before = recall
    assert latency_aware_ap(scores, events, frames, frames_per_snippet) == pytest.approx(total)


def test_latency_aware_ap_of_a_late_alarm_is_lower() -> None:
    events: Events = [[(16, 96, "Arson")], []]
    normal = np.zeros(8)
    values = []
    for first in (1, 3, 5):
        scores_T = np.zeros(8)
        scores_T[first:6] = 1
        values.append(latency_aware_ap([scores_T, normal], events))
    assert values[0] == 1
    assert values[0] > values[1] > values[2]
