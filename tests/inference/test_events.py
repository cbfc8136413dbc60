"""Events: runs of abnormal snippets with class, extent and confidence."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.inference.calibration import Calibration
from exvad.inference.events import find_events

CALIBRATION = Calibration(threshold=0.5)


def test_find_events_gives_runs_with_times_class_and_captions() -> None:
    scores = np.array([0.1, 0.9, 0.2, 0.8, 0.1, 0.1, 0.7], np.float32)
    probabilities = np.tile(np.array([0.7, 0.1, 0.2], np.float32), (7, 1))
    probabilities[6] = [0.5, 0.4, 0.1]
    times = np.arange(0, 14, 2, dtype=np.float64)
    events = find_events(
        scores,
        probabilities,
        times,
        13.5,
        ["Normal", "Arson", "Robbery"],
        CALIBRATION,
        [0.0, 4.0, 12.0],
    )
    assert [(e.start, e.end, e.label, e.captions) for e in events] == [
        (2.0, 8.0, "Robbery", [2]),
        (12.0, 13.5, "Arson", [3]),
    ]


def test_find_events_ends_an_event_with_its_class() -> None:
    flat = np.full(8, 0.9, np.float32)
    probabilities = np.tile(np.array([0.8, 0.1, 0.1], np.float32), (8, 1))
    probabilities[2:5] = [0.1, 0.2, 0.7]
    probabilities[3] = [0.6, 0.2, 0.2]
    events = find_events(
        flat, probabilities, np.arange(8.0), 8.0, ["Normal", "Arson", "Robbery"], CALIBRATION
    )
    assert [(e.start, e.end, e.label) for e in events] == [(2.0, 5.0, "Robbery")]


@settings(deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 3), min_size=1, max_size=40),
    st.floats(0, 1),
)
def test_find_events_gives_one_event_inside_every_run_above_the_threshold(
    values: list[tuple[float, float, float]], threshold: float
) -> None:
    scores, arson, robbery = np.array(values, np.float32).T
    probabilities = np.stack([np.ones_like(arson), arson, robbery], 1)
    times = np.arange(len(values), dtype=float)
    calibration = Calibration(threshold=threshold)
    events = find_events(scores, probabilities, times, len(values), ["N", "A", "B"], calibration)
    covered = {t for e in events for t in range(int(e.start), int(e.end))}
    above = {t for t, score in enumerate(scores) if score > threshold}
    bridged = above | {t for t in range(len(values)) if {t - 1, t + 1} <= above}
    assert covered <= bridged
    alone = {t for t in above if not {t - 2, t - 1, t + 1, t + 2} & above}
    assert alone <= covered
    runs = sum(t - 1 not in bridged for t in bridged)
    assert len(events) == runs
    assert all(e.label != "N" and 0 <= e.start < e.end <= len(values) for e in events)
    assert all(a.end < b.start for a, b in itertools.pairwise(events))


ABNORMAL = np.tile(np.array([0.2, 0.8], np.float32), (6, 1))
CLASSES = ["Normal", "Robbery"]


def test_no_event_extends_over_a_gap_of_the_recording() -> None:
    """Ten minutes that were not recorded: an event before them ends with the last frame."""
    scores = np.full(6, 0.9, np.float32)
    times = np.array([0, 1.6, 603.2, 604.8, 606.4, 608.0])
    events = find_events(
        scores, ABNORMAL, times, 609.6, CLASSES, CALIBRATION, [0.0, 605.0], [(3.2, 603.2)]
    )
    assert [(event.start, event.end, event.captions) for event in events] == [
        (0.0, 3.2, [1]),
        (603.2, 609.6, [2]),
    ]


def test_no_event_extends_over_a_jump_of_the_clock() -> None:
    scores = np.full(6, 0.9, np.float32)
    times = np.array([0, 0.64, 1.28, 1.92, 2.56, 3.2])
    gaps = [(1.28, 1.28), (2.0, 2.0)]
    events = find_events(scores, ABNORMAL, times, 3.84, CLASSES, CALIBRATION, [], gaps)
    assert [(event.start, event.end) for event in events] == [
        (0.0, 1.28),
        (1.28, 2.0),
        (2.56, 3.84),
    ]


def test_a_gap_in_the_middle_of_one_normal_snippet_ends_a_run() -> None:
    scores = np.array([0.9, 0.1, 0.9, 0.9], np.float32)
    times = np.array([0, 1, 100, 101], float)
    events = find_events(scores, ABNORMAL[:4], times, 102, CLASSES, CALIBRATION, [], [(1.5, 100.0)])
    assert [(event.start, event.end) for event in events] == [(0.0, 1.0), (100.0, 102.0)]
