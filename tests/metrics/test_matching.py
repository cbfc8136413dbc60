"""Matching of segments with events, seen through detection mAP."""

from __future__ import annotations

import pytest

from exvad.metrics import Protocol, detection_map
from tests.helpers.metric_cases import PROTOCOLS, Events, block_scores


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_matching_gives_an_event_to_one_segment_only(protocol: Protocol) -> None:
    """Of two segments of one event the second is a false alarm, ranked before the last hit."""
    scores = [block_scores(40, (0, 10, 1.0), (11, 21, 0.9)), block_scores(40, (5, 15, 0.3))]
    events: Events = [[(0, 336, "Arson")], [(80, 240, "Arson")]]
    classes = ["Normal", "Arson"]
    result = detection_map(scores, events, classes, protocol, ious=[0.4])
    assert result.per_class["Arson"][0.4] == pytest.approx(100 * (1 + 2 / 3) / 2)


def test_matching_accepts_an_iou_equal_to_the_threshold() -> None:
    scores, events = [block_scores(10, (2, 4, 1.0))], [[(32, 96, "Arson")]]
    for threshold, expected in ((0.5, 100.0), (0.51, 0.0)):
        for protocol in PROTOCOLS:
            result = detection_map(
                scores,
                events,
                ["Normal", "Arson"],
                protocol,
                frames_per_snippet=16,
                ious=[threshold],
            )
            assert result.per_class["Arson"] == {threshold: expected}
