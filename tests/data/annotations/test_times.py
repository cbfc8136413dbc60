"""Times of events as people write them: frames, seconds and minutes are told apart or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exvad.data.annotations.times import Interval, event_text, parse_event, parse_interval


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("120-360", Interval(120, 360, "unmarked")),
        (" 120 - 360 ", Interval(120, 360, "unmarked")),
        ("120–360", Interval(120, 360, "unmarked")),
        ("120f-360f", Interval(120, 360, "frames")),
        ("120-360 frames", Interval(120, 360, "frames")),
        ("4.8-14.4", Interval(4.8, 14.4, "seconds")),
        ("4.8-14", Interval(4.8, 14, "seconds")),
        ("5s-14s", Interval(5, 14, "seconds")),
        ("5-14s", Interval(5, 14, "seconds")),
        ("5 sec - 14 seconds", Interval(5, 14, "seconds")),
        ("1500ms-2s", Interval(1.5, 2, "seconds")),
        ("0:04-0:14", Interval(4, 14, "seconds")),
        ("75:00-76:30.5", Interval(4500, 4590.5, "seconds")),
        ("1:02:03-1:02:04.25", Interval(3723, 3724.25, "seconds")),
    ],
)
def test_parse_interval_tells_units_apart(text: str, interval: Interval) -> None:
    assert parse_interval(text) == interval
    assert parse_event(f"Road accident:{text}") == ("Road accident", interval)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12",
        "5s-14f",  # two units
        "4.8f-9f",  # no part of a frame
        "0:04-14",  # a clock and a number
        "0:75-1:20",  # no such second
        "1:75:00-2:00:00",
        "00:00:04:12-00:00:05:00",  # frames in a timecode need the rate
        "5m-6m",
        "4,8-14,4",
        "nan-inf",
        "1e3-2e3",
    ],
)
def test_parse_interval_refuses_what_has_no_single_meaning(text: str) -> None:
    assert parse_interval(text) is None
    assert parse_event(f"Robbery:{text}") is None


def test_parse_event_finds_the_end_of_a_label_with_colons() -> None:
    assert parse_event("Cam 1: fight:10-20") == ("Cam 1: fight", Interval(10, 20, "unmarked"))
    assert parse_event("Zone:0:04-0:14") == ("Zone", Interval(4, 14, "seconds"))
    assert parse_event("Cam:1:10f-20f") == ("Cam:1", Interval(10, 20, "frames"))
    assert parse_event("Cam:1:10-20") is None  # or from minute 1:10 on
    assert event_text("Cam:1", "10", "20", "f") == "Cam:1:10f-20f"
    assert event_text("Cam", "10", "20", "f") == "Cam:10-20"
    assert parse_event(":4-9") is None
    assert parse_event("4-9") is None


@given(st.integers(0, 99_999), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_clock_is_the_same_as_its_seconds(
    hours: int, minutes: int, seconds: int, millis: int
) -> None:
    text = f"{hours}:{minutes:02d}:{seconds:02d}.{millis:03d}"
    interval = parse_interval(f"{text}-{text}")
    assert interval is not None
    assert interval.unit == "seconds"
    assert interval.start == pytest.approx(3600 * hours + 60 * minutes + seconds + millis / 1000)
