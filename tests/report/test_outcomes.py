"""Outcomes compare time and class with the ground truth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exvad.report.outcomes import OUTCOMES, find_outcome, temporal_iou
from exvad.report.report_video import ReportVideo
from tests.helpers.report_cases import FIGHT, make_analysis


@pytest.mark.parametrize(
    ("found", "true_label", "true_events", "expected"),
    [
        ([FIGHT], "Fighting", [(11.0, 22.0, "Fighting")], "found"),
        ([FIGHT], "Fighting", [], "found"),
        ([FIGHT], "Arson", [(11.0, 22.0, "Arson")], "wrong-class"),
        ([FIGHT], "Fighting", [(24.0, 30.0, "Fighting")], "missed"),
        ([], "Fighting", [(11.0, 22.0, "Fighting")], "missed"),
        ([FIGHT], "Normal", [], "false-alarm"),
        ([], "Normal", [], "correct-normal"),
        ([FIGHT], None, [], "event"),
        ([], None, [], "no-event"),
    ],
)
def test_find_outcome_compares_time_and_class_with_the_truth(
    found: list[tuple[float, float, str]],
    true_label: str | None,
    true_events: list[tuple[float, float, str]],
    expected: str,
) -> None:
    video = ReportVideo(make_analysis(*found), {}, true_label, tuple(true_events))
    assert find_outcome(video).key == expected


SPANS = st.lists(
    st.tuples(st.floats(0, 50), st.floats(0.1, 20)).map(lambda s: (s[0], s[0] + s[1])),
    min_size=1,
    max_size=4,
)


@given(SPANS, SPANS)
def test_temporal_iou_is_symmetric_and_1_for_equal_times(
    one: list[tuple[float, float]], other: list[tuple[float, float]]
) -> None:
    assert temporal_iou(one, one) == pytest.approx(1)
    assert temporal_iou(one, other) == pytest.approx(temporal_iou(other, one))
    assert 0 <= temporal_iou(one, other) <= 1 + 1e-9


def test_temporal_iou_is_intersection_over_union() -> None:
    assert temporal_iou([(12, 21)], [(11, 22)]) == pytest.approx(9 / 11)
    assert temporal_iou([(0, 1)], [(2, 3)]) == 0
    assert temporal_iou([], [(2, 3)]) == 0


def test_count_reads_as_a_number_of_videos() -> None:
    assert OUTCOMES["event"].count(2) == "2 with an event"
    assert OUTCOMES["found"].count(1) == "1 found"
    assert OUTCOMES["false-alarm"].count(3) == "3 with a false alarm"
