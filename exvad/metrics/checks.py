"""What the metrics accept: scores and events whose shapes fit, or a sentence that says why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Integers = NDArray[np.int64]
    Numbers = NDArray[np.number]

FrameEvent = tuple[int, int, str]


def checked_scores(
    scores: Sequence[Floats], expected: str, classes: int | None = None
) -> list[Floats]:
    """Return the scores of videos as arrays, or raise a ValueError that names the wrong one."""
    if not len(scores):
        raise ValueError("there is no video to score: scores are empty")
    checked = []
    for number, given in enumerate(scores):
        rows: NDArray[Any] = np.asarray(given)
        if rows.shape[1:] != (() if classes is None else (classes,)) or rows.ndim < 1:
            raise ValueError(f"scores of video {number} have shape {rows.shape}, not {expected}")
        if not len(rows):
            raise ValueError(f"scores of video {number} are empty: every video needs a snippet")
        if rows.dtype.char not in "efd":
            rows = rows.astype(np.float64)
        if not np.isfinite(rows).all():
            raise ValueError(f"scores of video {number} hold NaN or infinite values")
        checked.append(rows)
    return checked


def checked_events(
    events: Sequence[Sequence[FrameEvent]], videos: int, frames_per_snippet: int
) -> list[list[FrameEvent]]:
    """Return the events of videos, or raise a ValueError that names the wrong one."""
    if frames_per_snippet < 1:
        raise ValueError(f"frames_per_snippet is {frames_per_snippet}: at least 1")
    if len(events) != videos:
        raise ValueError(
            f"{videos} videos have scores but {len(events)} have lists of events: "
            "give one list per video, an empty one where nothing happens"
        )
    for number, own in enumerate(events):
        for start, end, label in own:
            if not 0 <= start < end or start != int(start) or end != int(end):
                raise ValueError(
                    f"event {label!r} of video {number} spans frames {start} to {end}: "
                    "start and end must be whole, not negative, and end after start"
                )
    return [[(int(start), int(end), label) for start, end, label in own] for own in events]
