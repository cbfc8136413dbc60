"""Matching of detected segments with true events, and the resulting average precision.

S segments · G ground-truth events · I IoU thresholds
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from exvad.metrics.segments import Segments, interval_iou
from exvad.metrics.types import FrameEvent, Integers


def event_spans(events: Sequence[Sequence[FrameEvent]], label: str) -> dict[int, Integers]:
    """Return the frames of one class's events: video index → [G, 2] start and end."""
    spans = {
        video: [(start, end) for start, end, event_label in video_events if event_label == label]
        for video, video_events in enumerate(events)
    }
    return {video: np.array(pairs, dtype=np.int64) for video, pairs in spans.items() if pairs}


def match_segments(
    ranked: Segments, spans: dict[int, Integers], frames_per_snippet: int, ious: Sequence[float]
) -> NDArray[np.bool_]:
    """Match the segments of one class greedily with its events.

    Args:
        ranked: the segments, the best first.
        spans: video index → [G, 2] frames of the class's events.
        frames_per_snippet: frames in a snippet.
        ious: IoU thresholds.

    Returns:
        [I, S]: True where a segment takes an event that no better segment has taken.
    """
    candidates = []
    for rank in np.flatnonzero(np.isin(ranked.video_S, list(spans))).tolist():
        video = int(ranked.video_S[rank])
        span_G2 = spans[video]
        start = ranked.first_S[rank] * frames_per_snippet
        end = ranked.end_S[rank] * frames_per_snippet
        iou_G = interval_iou(start, end, span_G2[:, 0], span_G2[:, 1])
        if iou_G.max() >= min(ious):
            candidates.append((rank, video, iou_G))
    hit_IS = np.zeros((len(ious), len(ranked.score_S)), bool)
    for hit_S, threshold in zip(hit_IS, ious, strict=True):
        free = {video: np.ones(len(span_G2), bool) for video, span_G2 in spans.items()}
        for rank, video, iou_G in candidates:
            free_iou_G = np.where(free[video], iou_G, -1.0)
            best = int(free_iou_G.argmax())
            if free_iou_G[best] >= threshold:
                free[video][best] = False
                hit_S[rank] = True
    return hit_IS


def average_precision(hit_IS: NDArray[np.bool_], num_events: int) -> NDArray[np.float64]:
    """Return AP per IoU threshold, [I]: the sum of the precisions at hits over `num_events`.

    Args:
        hit_IS: which segments, the best first, hit an event.
        num_events: true events of the class.
    """
    precision_I = np.zeros(len(hit_IS))
    for row, hit_S in enumerate(hit_IS.astype(np.float64)):
        if hit_S.any():
            rank_S = np.arange(1, len(hit_S) + 1)
            precision_I[row] = np.sum(np.cumsum(hit_S) / rank_S * hit_S) / num_events
    return precision_I
