"""Matching segments with true events, and the average precision that comes of it.

S segments · G ground-truth events · I thresholds
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from exvad.metrics.segments import Segments, interval_iou

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]


def spans_of(events: Sequence[Sequence[tuple[int, int, str]]], label: str) -> dict[int, Integers]:
    """Return video number → [G, 2] frames of a class's events."""
    spans = {
        number: [(start, end) for start, end, name in own if name == label]
        for number, own in enumerate(events)
    }
    return {number: np.array(own, dtype=np.int64) for number, own in spans.items() if own}


def match_segments(
    ranked: Segments, spans: dict[int, Integers], fps: int, ious: Sequence[float]
) -> NDArray[np.bool_]:
    """Match one class's segments, best first, with its events: which of them hit, per IoU.

    Args:
        ranked: the segments.
        spans: video number → [G, 2] frames of the class's events.
        fps: frames per snippet.
        ious: thresholds.

    Returns:
        [I, S]: True where the segment takes an event that no better one has taken.
    """
    overlaps = []
    for rank in np.flatnonzero(np.isin(ranked.video_S, list(spans))).tolist():
        video = int(ranked.video_S[rank])
        own = spans[video]
        first, end = ranked.first_S[rank] * fps, ranked.end_S[rank] * fps
        iou_G = interval_iou(first, end, own[:, 0], own[:, 1])
        if iou_G.max() >= min(ious):
            overlaps.append((rank, video, iou_G))
    hit_IS = np.zeros((len(ious), len(ranked.score_S)), bool)
    for hit_S, least in zip(hit_IS, ious, strict=True):
        free = {video: np.ones(len(own), bool) for video, own in spans.items()}
        for rank, video, iou_G in overlaps:
            open_G = np.where(free[video], iou_G, -1.0)
            best = int(open_G.argmax())
            if open_G[best] >= least:
                free[video][best] = False
                hit_S[rank] = True
    return hit_IS


def average_precision(hit_IS: NDArray[np.bool_], events: int) -> NDArray[np.float64]:
    """Return AP per IoU: the sum of the precisions at hits over the number of events.

    Args:
        hit_IS: which segments, best first, hit an event.
        events: how many events there are.
    """
    precision_I = np.zeros(len(hit_IS))
    for row, hit_S in enumerate(hit_IS.astype(np.float64)):
        if hit_S.any():
            shown_S = np.arange(1, len(hit_S) + 1)
            precision_I[row] = np.sum(np.cumsum(hit_S) / shown_S * hit_S) / events
    return precision_I
