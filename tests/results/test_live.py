"""Records of a live stream."""

from __future__ import annotations

from exvad.results.live import LiveAlert, LiveScores


def test_times_of_a_stream_are_in_whole_microseconds() -> None:
    scores = LiveScores(times=[2.9340008040890098e-06, 0.1 + 0.2], scores=[0.5, 0.5])
    assert scores.times == [3e-06, 0.3]
    alert = LiveAlert(
        number=1, state="began", start=12.345678901, end=20.0, label="Arson", peak=0.9
    )
    assert (alert.start, alert.end) == (12.345679, 20.0)
