"""The metrics refuse inputs that do not fit, and name the problem."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exvad.metrics import detection_map, frame_auc_ap
from tests.helpers.metric_cases import Events, block_scores

ROWS = block_scores(4, (1, 2, 1.0))
EVENT: Events = [[(0, 16, "Arson")]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": "loose"}, "unknown protocol 'loose'"),
        ({"classes": ["Normal", "Arson", "Robbery"]}, r"video 0 have shape \(4, 2\), not \[T, 3\]"),
        ({"classes": ["Normal", "Normal"]}, "each once"),
        ({"classes": ["Normal"]}, "name the normal one and others"),
        ({"scores": [ROWS[:, 0]]}, r"shape \(4,\)"),
        ({"scores": [ROWS[:0]]}, "scores of video 0 are empty"),
        ({"scores": []}, "no video to score"),
        ({"scores": [ROWS * np.nan]}, "hold NaN"),
        ({"scores": [ROWS, ROWS]}, "2 videos have scores but 1 have lists of events"),
        ({"events": [[(16, 16, "Arson")]]}, "'Arson' of video 0 spans frames 16 to 16"),
        ({"events": [[(-1, 16, "Arson")]]}, "spans frames -1 to 16"),
        ({"events": [[(0.5, 16, "Arson")]]}, "must be whole numbers"),
        ({"frames_per_snippet": 0}, "frames_per_snippet is 0: it must be at least 1"),
        ({"ious": [0.0]}, "above 0 and up to 1"),
        ({"ious": []}, "above 0 and up to 1"),
    ],
)
def test_detection_map_refuses_wrong_inputs(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "scores": [ROWS],
        "events": EVENT,
        "classes": ["Normal", "Arson"],
        "protocol": "vadclip",
    }
    detection_map(**arguments)
    with pytest.raises(ValueError, match=message):
        detection_map(**{**arguments, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": [ROWS]}, r"shape \(4, 2\), not \[T\]"),
        ({"scores": [np.array(1.0)]}, r"shape \(\), not \[T\]"),
        ({"scores": [np.full(4, np.inf)]}, "NaN or infinite"),
        ({"lengths": [64, 64]}, "2 lengths for 1 videos"),
        ({"lengths": [0]}, "the length of video 0 is 0 frames"),
        ({"lengths": [16]}, "all frames are abnormal"),
        ({"events": [[]]}, "all frames are normal"),
        ({"events": [[(9, 3, "Arson")]]}, "spans frames 9 to 3"),
        ({"events": []}, "0 have lists of events"),
    ],
)
def test_frame_auc_ap_refuses_wrong_inputs(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"scores": [ROWS[:, 1]], "events": EVENT}
    frame_auc_ap(**arguments)
    with pytest.raises(ValueError, match=message):
        frame_auc_ap(**{**arguments, **changes})
