"""Alerts: hysteresis, least duration, cool-down; as properties of every course of a score."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exvad.live.alerts import Alert, AlertRule, AlertTracker

CLASSES = ("Normal", "Arson", "Fighting")
ARSON, FIGHT = [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]


def run(
    rule: AlertRule, scores: list[float], shares: list[list[float]] | None = None
) -> list[tuple[str, Alert]]:
    """Feed a score per second; return the changes."""
    alarm = AlertTracker(rule, CLASSES)
    told: list[tuple[str, Alert]] = []
    for second, score in enumerate(scores):
        told += alarm.feed(float(second), score, shares[second] if shares else ARSON)
    return told


def test_an_alert_begins_after_the_least_time_and_ends_below_off() -> None:
    rule = AlertRule(on=0.5, off=0.3, least_seconds=2, cool_down_seconds=0)
    told = run(rule, [0.1, 0.6, 0.7, 0.9, 0.4, 0.4, 0.2, 0.1])
    assert [change for change, _ in told] == ["began", "ended"]
    began, ended = told[0][1], told[1][1]
    assert (began.start, began.end) == (1.0, 3.0)
    assert (ended.start, ended.end, ended.peak, ended.peak_time) == (1.0, 6.0, 0.9, 3.0)


def test_a_short_flicker_is_no_alert() -> None:
    rule = AlertRule(on=0.5, off=0.3, least_seconds=2, cool_down_seconds=0)
    assert run(rule, [0.9, 0.9, 0.4, 0.9, 0.9, 0.1]) == []


def test_nothing_rings_in_the_cool_down() -> None:
    rule = AlertRule(on=0.5, off=0.5, least_seconds=0, cool_down_seconds=4)
    told = run(rule, [0.9, 0.1, 0.9, 0.9, 0.1, 0.9])
    assert [(change, alert.start) for change, alert in told] == [
        ("began", 0.0), ("ended", 0.0), ("began", 5.0),
    ]  # fmt: skip


def test_the_class_is_that_of_the_whole_alert_so_far() -> None:
    rule = AlertRule(on=0.5, off=0.3, least_seconds=0, cool_down_seconds=0)
    told = run(rule, [0.9] * 4, [ARSON, FIGHT, FIGHT, FIGHT])
    assert [(change, alert.label) for change, alert in told] == [
        ("began", "Arson"), ("changed", "Fighting"),
    ]  # fmt: skip


def test_an_alert_that_goes_on_is_told_now_and_then() -> None:
    rule = AlertRule(on=0.5, off=0.3, least_seconds=0, cool_down_seconds=0)
    told = run(rule, [*[0.6] * 12, 0.9, 0.1])
    assert [(change, alert.end, alert.peak) for change, alert in told] == [
        ("began", 0.0, 0.6), ("lasted", 5.0, 0.6), ("lasted", 10.0, 0.6), ("ended", 13.0, 0.9),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong", [{"on": 0.5, "off": 0.6}, {"on": 1.5, "off": 0.6}, {"on": 0.5, "off": -0.1}]
)
def test_an_impossible_rule_is_refused(wrong: dict[str, float]) -> None:
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
def test_alerts_never_overlap_and_keep_their_distance(rule: AlertRule, scores: list[float]) -> None:
    told = run(rule, scores)
    assert told == run(rule, scores), "the same course gives the same alerts"
    open_since: float | None = None
    ended = -100.0
    for change, alert in told:
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
