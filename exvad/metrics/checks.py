"""Validation of the metrics' inputs: scores and events whose shapes fit each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exvad.metrics.types import Floats, FrameEvent


def validate_scores(
    scores: Sequence[Floats], expected_shape: str, num_classes: int | None = None
) -> list[Floats]:
    """Return the scores of all videos as arrays of floats.

    Args:
        scores: one array per video, [T], or [T, C] if `num_classes` is given.
        expected_shape: the shape as the error message shows it.
        num_classes: C; None for scores without a class axis.

    Raises:
        ValueError: there is no video, or a video's scores are empty, not finite, or of another
            shape.
    """
    if not len(scores):
        raise ValueError("there is no video to score: scores are empty")
    class_axis = () if num_classes is None else (num_classes,)
    validated = []
    for index, video_scores in enumerate(scores):
        array: NDArray[Any] = np.asarray(video_scores)
        if array.ndim < 1 or array.shape[1:] != class_axis:
            raise ValueError(
                f"scores of video {index} have shape {array.shape}, not {expected_shape}"
            )
        if not len(array):
            raise ValueError(f"scores of video {index} are empty: every video needs a snippet")
        if array.dtype.char not in "efd":
            array = array.astype(np.float64)
        if not np.isfinite(array).all():
            raise ValueError(f"scores of video {index} hold NaN or infinite values")
        validated.append(array)
    return validated


def validate_events(
    events: Sequence[Sequence[FrameEvent]], num_videos: int, frames_per_snippet: int
) -> list[list[FrameEvent]]:
    """Return the events of all videos with integer frames.

    Args:
        events: one list of (start frame, end frame, class) per video, ends exclusive.
        num_videos: how many lists there must be.
        frames_per_snippet: frames in a snippet.

    Raises:
        ValueError: the number of lists is wrong, an event's frames are not integers or out of
            order, or `frames_per_snippet` is below 1.
    """
    if frames_per_snippet < 1:
        raise ValueError(f"frames_per_snippet is {frames_per_snippet}: it must be at least 1")
    if len(events) != num_videos:
        raise ValueError(
            f"{num_videos} videos have scores but {len(events)} have lists of events: "
            "give one list per video, an empty one where nothing happens"
        )
    for index, video_events in enumerate(events):
        for start, end, label in video_events:
            if not 0 <= start < end or start != int(start) or end != int(end):
                raise ValueError(
                    f"event {label!r} of video {index} spans frames {start} to {end}: start and "
                    "end must be whole numbers, start must not be negative, and end must be "
                    "greater than start"
                )
    return [
        [(int(start), int(end), label) for start, end, label in video_events]
        for video_events in events
    ]
