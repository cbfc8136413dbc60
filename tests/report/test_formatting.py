"""Times, percentages and class names are written plainly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exvad.report.formatting import (
    class_hue,
    format_duration,
    format_percent,
    format_span,
    format_time,
)
from exvad.results.disagreement import class_name


@given(st.floats(0, 1))
def test_format_percent_gives_0_and_100_only_for_exactly_0_and_1(share: float) -> None:
    assert (format_percent(share) == "100\u202f%") == (share == 1)
    assert (format_percent(share) == "0\u202f%") == (share == 0)


@given(st.floats(0, 400_000))
def test_format_time_is_within_half_a_second(seconds: float) -> None:
    hours, minutes, second = ([0, 0, 0] + [int(part) for part in format_time(seconds).split(":")])[
        -3:
    ]
    assert abs(3600 * hours + 60 * minutes + second - seconds) <= 0.5 + 1e-6


def test_formats_of_spans_durations_and_class_names() -> None:
    assert format_span(12.1, 12.4) == "at 0:12"
    assert format_span(3599.6, 3725) == "from 1:00:00 to 1:02:05"
    assert [format_duration(s) for s in (9.26, 59.99, 200, 3900)] == [
        "9.3\u00a0s",
        "1\u00a0min 00\u00a0s",
        "3\u00a0min 20\u00a0s",
        "1\u00a0h 05\u00a0min",
    ]
    assert [class_name(label) for label in ("RoadAccidents", "car_accident", "Riot")] == [
        "Road accidents",
        "Car accident",
        "Riot",
    ]


def test_class_hue_is_distinct_for_abnormal_classes_and_absent_for_others() -> None:
    classes = ["Normal", "Arson", "Fighting", "Riot"]
    assert [class_hue(label, classes) for label in classes[1:]] == [25.0, 145.0, 265.0]
    assert class_hue("Normal", classes) is class_hue("Flood", classes) is None
