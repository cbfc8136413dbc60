"""Frames of peaks wait for their alert to pass; those of rejected alerts are dropped."""

from __future__ import annotations

import numpy as np

from exvad.live.alerts import Alert
from exvad.results.live import LiveAlert, LiveNotice, LiveScores
from exvad.serving.workers.peak_frames import PeakFrames

FRAME = np.zeros((8, 8, 3), np.uint8)
SCORES = LiveScores(times=[1], scores=[0.5])


def alert(number: int) -> Alert:
    """Return an alert."""
    return Alert(number, start=1, end=2, label="Fire", peak=0.9, peak_time=1)


def began(number: int) -> LiveAlert:
    """Return the record of an alert that begins."""
    return LiveAlert(number=number, state="began", start=1, end=2, label="Fire", peak=0.9)


def test_sort_gives_the_frame_of_an_alert_once_it_is_published() -> None:
    peaks = PeakFrames()
    peaks.add(alert(1), FRAME)
    assert peaks.sort(SCORES) == {}
    frames = peaks.sort(began(1))
    assert list(frames) == [1]
    frames.clear()
    peaks.add(alert(1), FRAME)
    assert list(peaks.sort(SCORES)) == [1]


def test_sort_drops_the_frames_of_a_rejected_alert_and_keeps_no_later_one() -> None:
    peaks = PeakFrames()
    peaks.add(alert(1), FRAME)
    assert peaks.sort(LiveNotice(kind="rejected", text="a grill", alert=1)) == {}
    peaks.add(alert(1), FRAME)
    assert peaks.sort(SCORES) == {}
    peaks.add(alert(2), FRAME)
    assert list(peaks.sort(began(2))) == [2]
