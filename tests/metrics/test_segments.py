"""Segments of the `strict` protocol, seen through detection mAP."""

from __future__ import annotations

import numpy as np

from exvad.metrics import detection_map
from tests.helpers.metric_cases import CLASSES, Events, block_scores


def test_strict_segments_find_a_faint_event_beside_a_strong_one() -> None:
    scores = [block_scores(30, (0, 29, 0.05), (4, 8, 1.0), (15, 25, 0.39))]
    events: Events = [[(64, 128, "Arson"), (240, 400, "Arson")]]
    assert detection_map(scores, events, ["Normal", "Arson"], "strict").average == 100
    per_class = detection_map(scores, events, ["Normal", "Arson"], "vadclip").per_class
    assert per_class["Arson"][0.1] == 50


def test_strict_segments_suppress_a_segment_inside_a_better_one() -> None:
    """Without suppression the inner segment (IoU 7/9) would rank between the two events."""
    scores = [block_scores(20, (4, 13, 0.5), (5, 12, 1.0)), block_scores(20, (4, 13, 0.4))]
    events: Events = [[(64, 208, "Arson")], [(64, 208, "Arson")]]
    assert detection_map(scores, events, ["Normal", "Arson"], "strict").average == 100


def test_strict_segments_score_contrast_with_the_surroundings() -> None:
    """Both segments have equal means, but only the event stands out from its surroundings."""
    event, swell = block_scores(40, (10, 20, 0.8)), block_scores(40, (0, 40, 0.6), (10, 20, 0.8))
    events: Events = [[(160, 320, "Arson")], [(0, 16, "Fighting")]]
    scores = [np.hstack([rows, rows[:, :1]]) for rows in (event, swell)]
    result = detection_map(scores[::-1], events[::-1], CLASSES, "strict")
    assert result.per_class["Arson"][0.5] == 100
