"""Alerts follow the rule: hysteresis, minimum duration and cool-down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exvad.live.alerts import Alert, AlertRule, AlertTracker, LocatedEvents, locate
from exvad.results import DetectedEvent

CLASSES = ("Normal", "Arson", "Fighting")
ARSON, FIGHT = [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]


def track(
    rule: AlertRule, scores: list[float], probabilities: list[list[float]] | None = None
) -> list[tuple[str, Alert]]:
    """Return the changes that one score per second causes."""
    tracker = AlertTracker(rule, CLASSES)
    changes: list[tuple[str, Alert]] = []
    for second, score in enumerate(scores):
        changes += tracker.update(
            float(second), score, probabilities[second] if probabilities else ARSON
        )
    return changes


def test_tracker_begins_an_alert_after_the_minimum_time_and_ends_it_below_off() -> None:
    rule = AlertRule(on=0.5, off=0.3, least_seconds=2, cool_down_seconds=0)
    changes = track(rule, [0.1, 0.6, 0.7, 0.9, 0.4, 0.4, 0.2, 0.1])
    assert [change for change, _ in changes] == ["began", "ended"]
    began, ended = changes[0][1], changes[1][1]
    assert (began.start, began.end) == (1.0, 3.0)
    assert (ended.start, ended.end, ended.peak, ended.peak_time) == (1.0, 6.0, 0.9, 3.0)


def test_tracker_ignores_a_short_peak() -> None:
    rule = AlertRule(on=0.5, off=0.3, least_seconds=2, cool_down_seconds=0)
    assert track(rule, [0.9, 0.9, 0.4, 0.9, 0.9, 0.1]) == []


def test_tracker_begins_no_alert_in_the_cool_down() -> None:
    rule = AlertRule(on=0.5, off=0.5, least_seconds=0, cool_down_seconds=4)
    changes = track(rule, [0.9, 0.1, 0.9, 0.9, 0.1, 0.9])
    assert [(change, alert.start) for change, alert in changes] == [
        ("began", 0.0), ("ended", 0.0), ("began", 5.0),
    ]  # fmt: skip


def test_tracker_ends_an_alert_at_a_jump_and_begins_another_right_behind_it() -> None:
    rule = AlertRule(on=0.5, off=0.3, least_seconds=0, cool_down_seconds=100)
    tracker = AlertTracker(rule, CLASSES)
    # The event of the window ended before the jump: it is not that of the next alert.
    event = DetectedEvent(start=0.0, end=1.5, label="Arson", score=0.9, confidence=0.9, captions=[])
    window = LocatedEvents([event], 0.0)
    changes = [*tracker.update(0.0, 0.9, ARSON), *tracker.update(1.0, 0.9, ARSON)]
    changes += tracker.interrupt(1.5, 1.5)
    changes += tracker.update(2.0, 0.8, FIGHT, window)
    assert [(change, alert.number, alert.start, alert.end) for change, alert in changes] == [
        ("began", 1, 0.0, 0.0), ("ended", 1, 0.0, 1.5), ("began", 2, 2.0, 2.0),
    ]  # fmt: skip
    assert changes[-1][1].label == "Fighting"
    # Reported when the frame behind the jump has been scored already.
    assert [alert.end for _, alert in tracker.interrupt(1.9, 1.9)] == []
    assert tracker.active is not None


def test_tracker_counts_the_least_seconds_anew_behind_a_jump() -> None:
    tracker = AlertTracker(AlertRule(on=0.5, off=0.3, least_seconds=2), CLASSES)
    assert tracker.update(0.0, 0.9, ARSON) == []
    assert tracker.interrupt(1.0, 1.0) == []
    assert tracker.update(2.0, 0.9, ARSON) == []
    assert [change for change, _ in tracker.update(4.0, 0.9, ARSON)] == ["began"]


def test_an_alert_goes_on_over_a_gap_no_longer_than_the_cool_down() -> None:
    rule = AlertRule(on=0.5, off=0.3, cool_down_seconds=10)
    assert not rule.ends_at((5.0, 15.0))
    assert rule.ends_at((5.0, 15.1))
    assert rule.ends_at((5.0, 5.0))  # the clock jumps


def test_tracker_labels_an_alert_by_all_its_snippets() -> None:
    rule = AlertRule(on=0.5, off=0.3, least_seconds=0, cool_down_seconds=0)
    changes = track(rule, [0.9] * 4, [ARSON, FIGHT, FIGHT, FIGHT])
    assert [(change, alert.label) for change, alert in changes] == [
        ("began", "Arson"), ("changed", "Fighting"),
    ]  # fmt: skip


def test_tracker_reports_a_lasting_alert_every_few_seconds() -> None:
    rule = AlertRule(on=0.5, off=0.3, least_seconds=0, cool_down_seconds=0)
    changes = track(rule, [*[0.6] * 12, 0.9, 0.1])
    assert [(change, alert.end, alert.peak) for change, alert in changes] == [
        ("began", 0.0, 0.6), ("lasted", 5.0, 0.6), ("lasted", 10.0, 0.6), ("ended", 13.0, 0.9),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong", [{"on": 0.5, "off": 0.6}, {"on": 1.5, "off": 0.6}, {"on": 0.5, "off": -0.1}]
)
def test_alert_rule_refuses_impossible_values(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must hold"):
        AlertRule(**wrong)
    with pytest.raises(ValueError, match="negative"):
        AlertRule(on=0.5, off=0.5, least_seconds=-1)


rules = st.builds(
    lambda ends, least, cool: AlertRule(max(ends), min(ends), least, cool),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.floats(0, 5),
    st.floats(0, 8),
)


@given(rules, st.lists(st.floats(0, 1), max_size=60))
def test_tracker_alerts_never_overlap_and_keep_the_cool_down(
    rule: AlertRule, scores: list[float]
) -> None:
    changes = track(rule, scores)
    assert changes == track(rule, scores), "the same scores give the same alerts"
    open_since: float | None = None
    ended = -100.0
    for change, alert in changes:
        if change == "began":
            assert open_since is None
            assert alert.start >= ended + rule.cool_down_seconds
            assert alert.end - alert.start >= rule.least_seconds
            inside = scores[int(alert.start) : int(alert.end) + 1]
            assert all(score > rule.on for score in inside)
            open_since = alert.start
        elif change == "ended":
            assert open_since == alert.start
            assert scores[int(alert.end)] < rule.off
            assert alert.peak == max(scores[int(alert.start) : int(alert.end)])
            open_since, ended = None, alert.end


def event(start: float, end: float, label: str = "Arson") -> DetectedEvent:
    return DetectedEvent(start=start, end=end, label=label, score=0.9, confidence=0.9, captions=[])


def test_an_alert_is_located_at_the_event_that_it_overlaps_most() -> None:
    alert = Alert(1, start=5.0, end=20.0, label="Arson", peak=0.9, peak_time=8.0)
    fight, late = event(0.0, 12.0, "Fighting"), event(17.0, 20.0)
    located = locate(alert, LocatedEvents([fight, late], since=-1.0))
    assert (located.start, located.end, located.label) == (0.0, 12.0, "Fighting")
    equal = [event(6.0, 8.0), event(16.0, 18.0, "Fighting")]
    assert locate(alert, LocatedEvents(equal, since=0.0)).label == "Fighting"  # the newest
    assert locate(alert, LocatedEvents([event(30.0, 40.0)], 0.0)) == alert
    assert locate(alert, None) == alert


def test_an_alert_longer_than_the_window_keeps_its_beginning() -> None:
    alert = Alert(1, start=5.0, end=90.0, label="Arson", peak=0.9, peak_time=8.0)
    located = locate(alert, LocatedEvents([event(50.0, 88.0)], since=50.0))
    assert (located.start, located.end) == (5.0, 88.0)
