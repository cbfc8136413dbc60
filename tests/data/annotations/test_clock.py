"""Seconds and frames of a video: conversion by its own times, and events beyond its end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exvad.data.annotations.clock import FrameClock, events_in_frames, fit_to_length
from exvad.data.records import Event, TimedEvent
from tests.helpers.manifests import make_video


@given(st.integers(0, 10**6), st.sampled_from([5.0, 23.976, 24.0, 25.0, 29.97, 30.0, 59.94]))
def test_frame_at_returns_the_frame_of_its_own_time(frame: int, fps: float) -> None:
    assert FrameClock(10**7, fps).frame_at(frame / fps) == frame


def test_frame_at_follows_the_times_of_a_variable_rate() -> None:
    # 32 frames at 16/s, then a pause of ten seconds, then 16/s again.
    clock = FrameClock(64, 5.0, (0, 16, 32, 48), (0.0, 1.0, 12.0, 13.0))
    assert clock.frame_at(0.5) == 8
    assert clock.frame_at(12.5) == 40
    assert clock.frame_at(13.0) == 48
    assert clock.frame_at(14.0) == 53


def test_events_in_frames_gives_every_event_a_frame() -> None:
    video = make_video("a", "Fighting", timed_events=(TimedEvent(1.0, 1.001, "Fighting"),))
    video = events_in_frames(video, FrameClock(100, 25.0))
    assert video.events == (Event(25, 26, "Fighting"),)
    assert video.timed_events == ()


def test_fit_to_length_cuts_and_names_events_beyond_the_end() -> None:
    events = (Event(0, 9, "Fighting"), Event(90, 900, "Fighting"), Event(100, 110, "Fighting"))
    video = make_video("a", "Fighting", events=events, spans=((0, 9), (90, 900)))
    fitted, phrases = fit_to_length(video, 100)
    assert fitted.events == (Event(0, 9, "Fighting"), Event(90, 100, "Fighting"))
    assert fitted.spans == ((0, 9), (90, 100))
    assert phrases == [
        "Fighting:90-900 ends after the last of 100 frames",
        "Fighting:100-110 begins after the last of 100 frames",
        "the span 90-900 goes beyond the last of 100 frames",
    ]


def test_fit_to_length_leaves_a_published_benchmark_as_it_is() -> None:
    video = make_video("a", "Fighting", events=(Event(90, 101, "Fighting"),), snippets=6)
    fitted, phrases = fit_to_length(video, 100)
    assert fitted == video
    assert phrases == ["Fighting:90-101 ends after the last of 100 frames"]
