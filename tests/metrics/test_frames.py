"""Frame AUC and AP agree with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from exvad.metrics import frame_auc_ap
from tests.helpers.metric_cases import (
    Events,
    frames_per_snippet_values,
    random_test_set,
    seeds,
)


@settings(max_examples=80, deadline=None)
@given(
    seed=seeds,
    frames_per_snippet=frames_per_snippet_values,
    number_type=st.sampled_from(["float64", "float32", "binary", "signed"]),
    lengths=st.sampled_from(["default", "exact", "cut", "extended"]),
)
def test_frame_auc_ap_equals_scikit_learn_on_repeated_scores(
    seed: int, frames_per_snippet: int, number_type: str, lengths: str
) -> None:
    rng = np.random.default_rng(seed)
    scores, events = random_test_set(seed, frames_per_snippet, number_type)
    scores = [rows[:, 1] for rows in scores]
    full = [len(rows) * frames_per_snippet for rows in scores]
    video_lengths = {
        "default": None,
        "exact": full,
        "cut": [int(rng.integers(1, frames + 1)) for frames in full],
        "extended": [frames + int(rng.integers(0, 3 * frames_per_snippet)) for frames in full],
    }[lengths]
    curves, truth = [], []
    for rows, video_events, frames in zip(scores, events, video_lengths or full, strict=True):
        curve = np.repeat(rows, frames_per_snippet)
        curves.append([curve[min(t, len(curve) - 1)] for t in range(frames)])
        truth.append(
            [any(start <= t < end for start, end, _ in video_events) for t in range(frames)]
        )
    labels, values = np.concatenate(truth), np.concatenate(curves)
    if labels.all() or not labels.any():
        with pytest.raises(ValueError, match="need both kinds"):
            frame_auc_ap(scores, events, video_lengths, frames_per_snippet)
        return
    auc, ap = frame_auc_ap(scores, events, video_lengths, frames_per_snippet)
    assert auc == pytest.approx(roc_auc_score(labels, values), abs=1e-9)
    assert ap == pytest.approx(average_precision_score(labels, values), abs=1e-9)


def test_frame_auc_ap_needs_no_memory_per_frame() -> None:
    """The videos have 10¹² frames, more than fit in memory one by one."""
    events: Events = [[(0, 10**12, "Arson")], []]
    scores = [np.ones(4), np.zeros(4)]
    assert frame_auc_ap(scores, events, [10**12, 10**12]) == (1, 1)
