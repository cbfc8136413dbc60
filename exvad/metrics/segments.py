"""Segments of high class scores: the detected events of the two mAP protocols.

T snippets · C classes · L score levels · E run edges · S segments · G ground-truth events ·
c candidates of one class
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exvad.metrics.types import Floats, Integers

VADCLIP_FRACTION = np.float64(0.6)
VADCLIP_MEAN_WEIGHT = 0.7
VADCLIP_TOP_DIVISOR = 16
VADCLIP_MIN_FRAMES = 2
STRICT_FRACTIONS = np.arange(1, 10) / 10
STRICT_NMS_IOU = 0.6


class Segments(NamedTuple):
    """Segments of several videos.

    Args:
        video_S: index of the video.
        class_S: column of the class in the scores.
        first_S: first snippet.
        end_S: last snippet + 1.
        score_S: how good the segment is; higher is better.
    """

    video_S: Integers
    class_S: Integers
    first_S: Integers
    end_S: Integers
    score_S: NDArray[np.float64]

    def take(self, selection: Integers | NDArray[np.bool_]) -> Segments:
        """Return the segments with these indices, or those where a mask is True."""
        return Segments._make(column[selection] for column in self)


def vadclip_segments(scores: Sequence[Floats], frames_per_snippet: int) -> Segments:
    """Find the segments of all videos by the `vadclip` protocol.

    Sums and orders are computed as in the reference code, in the number type of the scores and by
    the same NumPy calls, so that ties fall as they do there. The reference's suppression has no
    counterpart here: the runs above a single threshold never overlap.

    Args:
        scores: class scores, [T, C] per video.
        frames_per_snippet: frames in a snippet.

    Returns:
        The segments, those of one video and class with the best first.
    """
    parts = []
    for video, scores_TC in enumerate(scores):
        top = len(scores_TC) * frames_per_snippet // VADCLIP_TOP_DIVISOR
        if not top:
            continue
        top_snippets = -(-top // frames_per_snippet)
        descending_TC = -np.sort(-scores_TC, axis=0)[:top_snippets]
        mean_C = np.mean(np.repeat(descending_TC, frames_per_snippet, axis=0)[:top], axis=0)
        masked_TC = scores_TC * (mean_C > 0)
        low_C, high_C = masked_TC.min(axis=0), masked_TC.max(axis=0)
        threshold_C = high_C - (high_C - low_C) * VADCLIP_FRACTION
        class_S, first_S, end_S = _runs(masked_TC > threshold_C)
        peak_S = _run_maxima(masked_TC, class_S, first_S, end_S)
        score_S = (peak_S + VADCLIP_MEAN_WEIGHT * mean_C[class_S]).astype(np.float64)
        video_S = np.full(len(class_S), video)
        segments = Segments(video_S, class_S, first_S, end_S, score_S)
        segments = segments.take((end_S - first_S) * frames_per_snippet >= VADCLIP_MIN_FRAMES)
        parts.append(segments.take(_best_first_by_class(segments, scores_TC.shape[1])))
    return join_segments(parts)


def _best_first_by_class(segments: Segments, num_classes: int) -> Integers:
    """Return indices that sort the segments of each class by score, the classes in order."""
    bounds = np.searchsorted(segments.class_S, np.arange(num_classes + 1)).tolist()
    order = np.arange(len(segments.score_S))
    for start, stop in pairwise(bounds):
        if stop - start > 1:
            order[start:stop] = start + np.argsort(-segments.score_S[start:stop])
    return order


def strict_segments(
    scores: Sequence[NDArray[np.float64]], floor_C: NDArray[np.float64] | None = None
) -> Segments:
    """Find the segments of all videos by the `strict` protocol.

    Args:
        scores: class scores, [T, C] per video, without the normal class.
        floor_C: lowest level of each class; the class's lowest score in these videos if absent.

    Returns:
        The segments that suppression leaves, video by video and class by class.
    """
    if not scores:
        return join_segments([])
    if floor_C is None:
        floor_C = np.min([scores_TC.min(axis=0) for scores_TC in scores], axis=0)
    parts = []
    for video, scores_TC in enumerate(scores):
        length, num_classes = scores_TC.shape
        low_C1, high_C1 = scores_TC.min(axis=0)[:, None], scores_TC.max(axis=0)[:, None]
        level_CL = np.hstack([floor_C[:, None], low_C1 + (high_C1 - low_C1) * STRICT_FRACTIONS])
        above_TCL = scores_TC[:, :, None] > level_CL
        column_S, first_S, end_S = _runs(above_TCL.reshape(length, -1))
        class_S = column_S // level_CL.shape[1]
        # Neighbouring levels often give the same run: each counts once.
        run_key_S = (class_S * length + first_S) * (length + 1) + end_S
        _, unique_S = np.unique(run_key_S, return_index=True)
        class_S, first_S, end_S = class_S[unique_S], first_S[unique_S], end_S[unique_S]
        score_S = _contrast(scores_TC, class_S, first_S, end_S)
        remaining: list[int] = []
        for column in range(num_classes):
            remaining += _suppress(np.flatnonzero(class_S == column), first_S, end_S, score_S)
        video_S = np.full(len(class_S), video)
        segments = Segments(video_S, class_S, first_S, end_S, score_S)
        parts.append(segments.take(np.array(remaining, dtype=np.int64)))
    return join_segments(parts)


def _contrast(
    scores_TC: NDArray[np.float64], class_S: Integers, first_S: Integers, end_S: Integers
) -> NDArray[np.float64]:
    """Score runs by the mean inside plus its excess over the mean of a quarter length around."""
    length, num_classes = scores_TC.shape
    cumulative_TC = np.concatenate([np.zeros((1, num_classes)), np.cumsum(scores_TC, axis=0)])
    snippets_S = end_S - first_S
    sum_S = cumulative_TC[end_S, class_S] - cumulative_TC[first_S, class_S]
    inner_S = sum_S / snippets_S
    margin_S = np.maximum(1, snippets_S // 4)
    left_S, right_S = np.maximum(first_S - margin_S, 0), np.minimum(end_S + margin_S, length)
    around_S = right_S - left_S - snippets_S
    outer_sum_S = cumulative_TC[right_S, class_S] - cumulative_TC[left_S, class_S] - sum_S
    # A run over the whole video has no surroundings: its contrast is 0.
    outer_S = np.divide(outer_sum_S, around_S, out=inner_S.copy(), where=around_S > 0)
    score_S: NDArray[np.float64] = inner_S + (inner_S - outer_S)
    return score_S


def _suppress(
    candidates: Integers, first_S: Integers, end_S: Integers, score_S: NDArray[np.float64]
) -> list[int]:
    """Return the candidates that overlap no better remaining one by an IoU above `STRICT_NMS_IOU`.

    Args:
        candidates: indices of segments of one class, ordered by first snippet.
        first_S: first snippet of every segment.
        end_S: last snippet + 1.
        score_S: scores.

    Returns:
        The remaining indices, the best first.
    """
    assert STRICT_NMS_IOU >= 0.5, "the neighbours below are chosen for this"
    start_c, stop_c = first_S[candidates], end_S[candidates]
    # A segment that starts more than a length before, or after the end, has an IoU below one half,
    # so it is below the limit too.
    low_c = np.searchsorted(start_c, 2 * start_c - stop_c).tolist()
    high_c = np.searchsorted(start_c, stop_c).tolist()
    open_c = np.ones(len(candidates), bool)
    remaining: list[int] = []
    for best in np.argsort(-score_S[candidates], kind="stable").tolist():
        if open_c[best]:
            remaining.append(int(candidates[best]))
            near = slice(low_c[best], high_c[best])
            iou = interval_iou(start_c[best], stop_c[best], start_c[near], stop_c[near])
            open_c[near] &= iou <= STRICT_NMS_IOU
    return remaining


def interval_iou(
    start: np.int64, end: np.int64, start_G: Integers, end_G: Integers
) -> NDArray[np.float64]:
    """Return the temporal IoU of one span with each of several others, [G]."""
    shared_G = np.maximum(np.minimum(end, end_G) - np.maximum(start, start_G), 0)
    iou_G: NDArray[np.float64] = shared_G / ((end - start) + (end_G - start_G) - shared_G)
    return iou_G


def join_segments(parts: Sequence[Segments]) -> Segments:
    """Concatenate segments; none give empty segments."""
    none = np.empty(0, dtype=np.int64)
    empty = Segments(none, none, none, none, np.empty(0))
    return Segments._make(map(np.concatenate, zip(empty, *parts, strict=True)))


def _runs(above_TC: NDArray[np.bool_]) -> tuple[Integers, Integers, Integers]:
    """Return column, first row and last row + 1 of every run of True, column after column."""
    padded_CT = np.zeros((above_TC.shape[1], len(above_TC) + 2), bool)
    padded_CT[:, 1:-1] = above_TC.T
    column_E, edge_E = np.nonzero(padded_CT[:, 1:] != padded_CT[:, :-1])
    return column_E[::2], edge_E[::2], edge_E[1::2]


def _run_maxima(scores_TC: Floats, class_S: Integers, first_S: Integers, end_S: Integers) -> Floats:
    """Return the maximum of each run."""
    if not len(class_S):
        return scores_TC[:0, 0]
    # The columns end to end, with one value appended so that every run's end is an index.
    flat = np.append(scores_TC.T.ravel(), scores_TC[-1, -1])
    bounds_S2 = np.stack([first_S, end_S], axis=1) + class_S[:, None] * len(scores_TC)
    maxima_S: Floats = np.maximum.reduceat(flat, bounds_S2.ravel())[::2]
    return maxima_S
