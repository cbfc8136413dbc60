"""Ground truth for snippets that last a number of seconds, and not a number of frames.

Frame metrics count `stride` frames per snippet. Where `data.stride_seconds` defines the snippets,
events are put on that scale by time.

T snippets
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from exvad.data.records import Event

if TYPE_CHECKING:
    from exvad.data.records import Video
    from exvad.store.feature_bank import VideoFeatures


def rescale_events(video: Video, features: VideoFeatures, stride: int) -> Video:
    """Return a video with its length and events in units of `stride` to a snippet.

    Args:
        video: the video, in frames of its file.
        features: of the video, with the seconds of its snippets.
        stride: frames that metrics count per snippet.
    """
    times_T = np.asarray(features.times)
    ends_T = np.append(times_T, max(features.num_frames / features.fps, float(times_T[-1]) + 1e-3))
    units_T = np.arange(len(ends_T)) * stride

    def rescale(frame: int) -> int:
        return round(float(np.interp(frame / features.fps, ends_T, units_T)))

    return replace(
        video,
        events=tuple(
            Event(
                rescale(event.start), max(rescale(event.end), rescale(event.start) + 1), event.label
            )
            for event in video.events
        ),
        spans=tuple((rescale(start), rescale(end)) for start, end in video.spans),
        num_frames=len(times_T) * stride,
    )
