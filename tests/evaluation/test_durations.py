"""Ground truth on the scale of snippets that last a number of seconds."""

from __future__ import annotations

import numpy as np
import pytest

from exvad.data.records import Event, Video
from exvad.evaluation.durations import rescale_events
from exvad.store.feature_bank import VideoFeatures
from exvad.video.footage.sampling import Sampling


def features_at(fps: float, seconds: float, stride_seconds: float) -> VideoFeatures:
    """Return the features of a video, without their values."""
    count = round(fps * seconds)
    times = np.arange(count) / fps
    chosen = times[Sampling(16, stride_seconds).choose(times)]
    visual = np.zeros((len(chosen), 4), np.float16)
    return VideoFeatures("v", visual, chosen, None, [], [], [], "", None, count, fps)


@pytest.mark.parametrize("fps", [5, 12.5, 25, 30])
def test_an_event_covers_the_same_snippets_at_every_rate(fps: float) -> None:
    """Seconds 8 to 16 of 40 are snippets 10 to 20 of 0.8 seconds."""
    video = Video(
        "v",
        "v.mp4",
        "test",
        ("Robbery",),
        (Event(round(8 * fps), round(16 * fps), "Robbery"),),
        round(40 * fps),
        spans=((round(8 * fps), round(16 * fps)),),
    )
    scaled = rescale_events(video, features_at(fps, 40, 0.8), 16)
    (event,) = scaled.events
    assert scaled.num_frames == 50 * 16
    assert (event.start, event.end) == pytest.approx((160, 320), abs=3)
    assert scaled.spans == ((event.start, event.end),)
    assert event.label == "Robbery"
