"""The clock of a live source: time goes on, whatever the source's clock does."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from exvad.live.alerts import AlertRule, AlertTracker
from exvad.video.footage.stream_clock import MIN_STEP, StreamClock


def read(times: Sequence[float], connected_at: float = 0.0) -> list[float]:
    """Return the times of the stream for the times of a source."""
    clock = StreamClock(connected_at)
    return [clock.read(time) for time in times]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([7, 8, 9, 10], [0, 1, 2, 3]),
        ([0, 1, 2, 3, 0, 1, 2, 3, 0, 1], range(10)),
        ([0, 1, 2, 3, 1e6, 1e6 + 1], range(6)),
        ([100, 101, 102, 50, 51, 52], range(6)),
        ([0, 1, 2, 2, 4, 5], range(6)),
        ([0, 1, 2, 1e6, 4, 5], range(6)),
        ([10, 11, 12, 1, 14, 15], range(6)),
        ([0, 1, 2, 602, 603], [0, 1, 2, 602, 603]),
        ([0, 0.5, 0.6, 1.9, 2], [0, 0.5, 0.6, 1.9, 2]),
    ],
)
def test_the_time_of_the_stream_goes_on(times: list[float], expected: Sequence[float]) -> None:
    assert read(times) == pytest.approx(list(expected))
    assert read(times, 50.0) == pytest.approx([50 + time for time in expected])


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([5] * 6, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ([0, 0, 0, 0.6, 0.6, 0.6, 1.2, 1.2, 1.2], [0.2 * n for n in range(9)]),
        ([3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 5], [0.2 * n for n in range(11)]),
        ([0.5, None, None, 1.1, None, None, 1.7], [0.2 * n for n in range(7)]),
        ([None, None, 7, 7.2], [0, 0.2, 0.4, 0.6]),
        ([0, None, 0.2, None, 0.4, None], [0, 0.2, 0.2, 0.3, 0.4, 0.5]),
        ([None] * 6, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        # The clock begins anew within a stretch without times, as in joined recordings.
        ([0, None, 0.4, None, 0, None, 0.4], [0.2 * n for n in range(7)]),
        # It stands still and then goes on from there: the frames between took their time.
        ([0, 0.2, *[0.4] * 20, 0.6, 0.8], [0.2 * n for n in range(24)]),
    ],
)
def test_frames_without_a_time_come_after_the_usual_step(
    times: list[float | None], expected: Sequence[float]
) -> None:
    """The header says five frames per second, until the source tells."""
    clock = StreamClock(30.0, 0.2)
    stream = [clock.read(time) for time in times]
    assert stream == pytest.approx([30 + time for time in expected], abs=2 * MIN_STEP)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 1, 2, 3, 4], []),
        # A loop, seen with its second frame.
        ([0, 1, 2, 3, 0, 1, 2], [(5, (4, 4))]),
        ([0, 1, 2, 1e6, 1e6 + 1], [(4, (3, 3))]),
        # A stray time is no jump.
        ([0, 1, 2, 1e6, 4, 5], []),
        ([10, 11, 12, 1, 14, 15], []),
        ([0, 1, 2, 602, 603], [(3, (3, 602))]),
        ([0, 1, 2, 11, 12], []),
        # A clock that is corrected does not jump.
        ([0, 1, 2, 1.95, 2.95, 3.95], []),
        ([0, 1, 2, 0.5, 1.5, 2.5], []),
        # A gap right behind a jump.
        ([0, 1, 2, 3, 0, 700, 701], [(5, (4, 4)), (5, (5, 704))]),
    ],
)
def test_gap_says_where_nothing_was_recorded_and_where_the_clock_jumps(
    times: list[float], expected: list[tuple[int, tuple[float, float]]]
) -> None:
    clock = StreamClock(0.0)
    gaps = []
    for frame, time in enumerate(times):
        clock.read(time)
        gaps += [(frame, gap) for gap in clock.gaps]
    assert gaps == expected


def test_times_increase_whatever_the_source_says() -> None:
    times = read([5, 5, 5, 5.0001, 4, 4, 1e9, 3, 3.0000001, -7, -6])
    assert all(late - early >= MIN_STEP * 0.99 for early, late in itertools.pairwise(times))


def test_a_source_without_times_has_those_of_this_machine() -> None:
    clock = StreamClock(3.0)
    first, second = clock.read(None), clock.read(None)
    assert 3 <= first < second < 4


def test_a_camera_that_gives_a_time_to_some_frames_keeps_its_pace() -> None:
    clock = StreamClock(3.0)
    assert 3 <= clock.read(None) < 3.5
    began = clock.read(100.0)
    assert clock.read(100.5) == pytest.approx(began + 0.5)
    assert [clock.read(None) for _ in range(3)] == pytest.approx([began + n for n in (1, 1.5, 2)])
    assert clock.read(102.5) == pytest.approx(began + 2.5)


def test_every_loop_of_a_recording_has_its_own_alert() -> None:
    """A minute with one robbery, played three times: three alerts, and not one."""
    rate, minute = 5, 60
    clock = StreamClock(0.0)
    tracker = AlertTracker(AlertRule(0.5, 0.4), ["Normal", "Robbery"])
    began = []
    for _ in range(3):
        for frame in range(rate * minute):
            seconds = clock.read(frame / rate)
            score = 0.9 if 20 * rate <= frame < 30 * rate else 0.1
            changes = tracker.update(seconds, score, [1 - score, score])
            began += [alert.start for change, alert in changes if change == "began"]
    assert began == pytest.approx([20, 80, 140])
