"""The ground truth on the clock of the videos: seconds, and events beyond the end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exvad.data.records import Event, TimedEvent, Video
from exvad.evaluation.truth import locate_events
from exvad.store.feature_bank import VideoFeatures
from exvad.video.footage.sampling import Sampling


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


def features_at(fps: float, seconds: float, stride_seconds: float) -> VideoFeatures:
    """Features of a video of constant rate whose snippets last a number of seconds."""
    count = round(fps * seconds)
    times = np.arange(count) / fps
    chosen = times[Sampling(16, stride_seconds).choose(times)]
    return features("v", chosen.tolist(), count, fps)


@pytest.mark.parametrize("fps", [5, 12.5, 25, 30])
def test_an_event_covers_the_same_snippets_at_every_rate(fps: float) -> None:
    """Seconds 8 to 16 of 40 are snippets 10 to 20 of 0.8 seconds, counted in frames or seconds."""
    video = Video(
        "v",
        "v.mp4",
        "test",
        ("Robbery",),
        (Event(round(8 * fps), round(16 * fps), "Robbery"),),
        round(40 * fps),
        spans=((round(8 * fps), round(16 * fps)),),
    )
    timed = robbery("v", TimedEvent(8.0, 16.0, "Robbery"))
    truth = locate_events([video, timed], {"v": features_at(fps, 40, 0.8)}, 16, 0.8)
    (event,) = truth.counted[0].events
    assert truth.counted[0].num_frames == 50 * 16
    assert (event.start, event.end) == pytest.approx((160, 320), abs=3)
    assert truth.counted[0].spans == ((event.start, event.end),)
    assert event.label == "Robbery"
    assert truth.counted[1].events == truth.counted[0].events
    assert truth.videos[0] == video
    assert truth.videos[1].events == video.events


def test_an_event_behind_a_gap_is_found_by_frames_and_by_seconds() -> None:
    """Five seconds are recorded, then nothing for 15 seconds, then five seconds again."""
    times = [*map(float, range(5)), *map(float, range(20, 25))]
    bank = {name: features(name, times, 50, 5.0) for name in ("a", "b", "c")}
    videos = [
        robbery("a", Event(30, 40, "Robbery")),
        robbery("b", TimedEvent(21.0, 23.0, "Robbery")),
        robbery("c", TimedEvent(23.0, 40.0, "Robbery")),
    ]
    truth = locate_events(videos, bank, 16, 1.0)
    assert [video.events for video in truth.counted] == [
        (Event(96, 128, "Robbery"),),
        (Event(96, 128, "Robbery"),),
        (Event(128, 160, "Robbery"),),
    ]
    assert [video.events[0].start for video in truth.videos] == [30, 30, 40]
    assert list(truth.beyond) == ["c"]
    assert truth.videos[2].events[0].end == 50


def test_an_event_before_a_gap_has_the_frames_before_it() -> None:
    """32 frames in 3.2 seconds, then nothing for ten minutes, then 32 frames again."""
    clock = [[0, 0], [16, 1.6], [32, 3.2], [32, 603.2], [48, 604.8], [64, 606.4]]
    video = replace(features("a", [0.0, 1.6, 603.2, 604.8], 64, 10.0), clock=np.array(clock))
    events = [TimedEvent(1.6, 3.2, "Robbery"), TimedEvent(603.2, 606.4, "Robbery")]
    truth = locate_events([robbery("a", *events)], {"a": video}, 16)
    assert [(event.start, event.end) for event in truth.videos[0].events] == [(16, 32), (32, 64)]
    assert truth.notes() == []
    (clock_of_video,) = truth.clocks
    assert (clock_of_video.seconds_at(16), clock_of_video.end_of(32)) == (1.6, 3.2)
    assert clock_of_video.seconds_at(32) == 603.2


def test_events_within_a_snippet_count_by_the_frames_own_times() -> None:
    """Fifteen frames in a tenth of a second, and one that lasts a whole second."""
    clock = [[0, 0.0], [15, 0.1], [16, 1.1], [32, 2.7]]
    video = replace(features("a", [0.0, 1.1], 32, 10.0), clock=np.array(clock))
    truth = locate_events([robbery("a", TimedEvent(0.1, 1.1, "Robbery"))], {"a": video}, 16)
    (event,) = truth.videos[0].events
    assert (event.start, event.end) == (15, 16)
