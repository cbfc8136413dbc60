"""The ground truth on the clock of the videos: seconds, and events beyond the end."""

from __future__ import annotations

import numpy as np

from exvad.data.records import Event, TimedEvent, Video
from exvad.evaluation.truth import locate_events
from exvad.store.feature_bank import VideoFeatures


def features(video_id: str, times: list[float], num_frames: int, fps: float) -> VideoFeatures:
    """Features with given times of the snippets."""
    visual = np.zeros((len(times), 2), np.float16)
    return VideoFeatures(
        video_id, visual, np.array(times), None, [], [], [], "", None, num_frames, fps
    )


def robbery(
    name: str,
    *events: Event | TimedEvent,
    num_frames: int | None = None,
    snippets: int | None = None,
) -> Video:
    """A test video of a robbery."""
    return Video(
        name,
        f"{name}.mp4",
        "test",
        ("Robbery",),
        tuple(event for event in events if isinstance(event, Event)),
        timed_events=tuple(event for event in events if isinstance(event, TimedEvent)),
        num_frames=num_frames,
        snippets=snippets,
    )


def test_locate_events_converts_seconds_by_the_times_of_the_snippets() -> None:
    # 16 frames at 16/s, then a gap of nine seconds, then 16/s again.
    bank = {"a": features("a", [0.0, 1.0, 11.0, 12.0], 64, 5.0)}
    truth = locate_events([robbery("a", TimedEvent(11.0, 12.5, "Robbery"))], bank, 16)
    (video,) = truth.videos
    assert (video.events[0].start, video.num_frames) == (32, 64)
    assert truth.notes() == []


def test_locate_events_names_and_cuts_events_beyond_the_end() -> None:
    bank = {name: features(name, [0.0, 0.64], 32, 25.0) for name in ("a", "b", "c")}
    videos = [
        robbery("a", Event(8, 90000, "Robbery")),
        robbery("b", Event(5000, 6000, "Robbery"), num_frames=6500),
        robbery("c", TimedEvent(0.2, 0.4, "Robbery"), TimedEvent(3.0, 4.0, "Robbery")),
    ]
    truth = locate_events(videos, bank, 16)
    assert [video.events for video in truth.videos] == [
        (Event(8, 32, "Robbery"),),
        (),
        (Event(5, 10, "Robbery"),),
    ]
    assert truth.unlocated == {"b"}
    assert truth.beyond["c"] == ["Robbery:75-100 begins after the last of 32 frames"]
    first, second, _ = truth.notes()
    assert first.startswith("a: Robbery:8-90000 ends after the last of 32 frames; correct the man")
    assert "it counts in metrics of whole videos only" in second
    assert "events_fps" in second


def test_locate_events_leaves_a_published_benchmark_as_it_is() -> None:
    bank = {"a": features("a", [0.0, 0.64], 32, 25.0)}
    published = robbery("a", Event(8, 33, "Robbery"), num_frames=32, snippets=2)
    truth = locate_events([published], bank, 16)
    assert truth.videos == (published,)
    assert truth.beyond == {"a": ["Robbery:8-33 ends after the last of 32 frames"]}
    assert truth.unlocated == frozenset()
