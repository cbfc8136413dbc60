"""Segments of high class scores: what the two mAP protocols take for detected events.

T snippets · C classes · L levels · E run edges · S segments · G ground-truth events
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Integers = NDArray[np.int64]

VADCLIP_FRACTION = np.float64(0.6)
VADCLIP_MEAN_WEIGHT = 0.7
VADCLIP_TOP_SHARE = 16
VADCLIP_LEAST_FRAMES = 2
STRICT_FRACTIONS = np.arange(1, 10) / 10
STRICT_NMS_IOU = 0.6


class Segments(NamedTuple):
    """Segments: number of video and class, first snippet, last + 1, and how good each is."""

    video_S: Integers
    column_S: Integers
    first_S: Integers
    end_S: Integers
    score_S: NDArray[np.float64]

    def take(self, which: Integers | NDArray[np.bool_]) -> Segments:
        """Return the chosen segments."""
        return Segments._make(part[which] for part in self)


def vadclip_segments(rows: Sequence[Floats], fps: int) -> Segments:
    """Find the segments of all videos, those of a video and class best first.

    Sums and orders are taken as the reference takes them, in the scores' own number type and by
    the same NumPy calls, so that even ties fall as they do there. Its suppression is left out:
    the runs above a single threshold never overlap.
    """
    parts = []
    for number, rows_TC in enumerate(rows):
        top = len(rows_TC) * fps // VADCLIP_TOP_SHARE
        if not top:
            continue
        descending_TC = -np.sort(-rows_TC, axis=0)[: -(-top // fps)]
        mean_C = np.mean(np.repeat(descending_TC, fps, axis=0)[:top], axis=0)
        shown_TC = rows_TC * (mean_C > 0)
        low_C, high_C = shown_TC.min(axis=0), shown_TC.max(axis=0)
        threshold_C = high_C - (high_C - low_C) * VADCLIP_FRACTION
        column_S, first_S, end_S = _runs(shown_TC > threshold_C)
        peak_S = _run_maxima(shown_TC, column_S, first_S, end_S)
        score_S = (peak_S + VADCLIP_MEAN_WEIGHT * mean_C[column_S]).astype(np.float64)
        video_S = np.full(len(column_S), number)
        segments = Segments(video_S, column_S, first_S, end_S, score_S)
        segments = segments.take((end_S - first_S) * fps >= VADCLIP_LEAST_FRAMES)
        parts.append(segments.take(_best_first_by_class(segments, rows_TC.shape[1])))
    return _joined(parts)


def _best_first_by_class(segments: Segments, classes: int) -> Integers:
    cuts = np.searchsorted(segments.column_S, np.arange(classes + 1)).tolist()
    order = np.arange(len(segments.score_S))
    for start, stop in pairwise(cuts):
        if stop - start > 1:
            order[start:stop] = start + np.argsort(-segments.score_S[start:stop])
    return order


def strict_segments(
    rows: Sequence[NDArray[np.float64]], floor_C: NDArray[np.float64] | None = None
) -> Segments:
    """Find the runs above several levels in all videos, thinned by suppression.

    Args:
        rows: class scores, [T, C] per video.
        floor_C: the lowest level of each class; the lowest score of these videos if absent.
    """
    if not rows:
        return _joined([])
    if floor_C is None:
        floor_C = np.min([rows_TC.min(axis=0) for rows_TC in rows], axis=0)
    parts = []
    for number, rows_TC in enumerate(rows):
        length, classes = rows_TC.shape
        low_C1, high_C1 = rows_TC.min(axis=0)[:, None], rows_TC.max(axis=0)[:, None]
        level_CL = np.hstack([floor_C[:, None], low_C1 + (high_C1 - low_C1) * STRICT_FRACTIONS])
        above = rows_TC[:, :, None] > level_CL
        row_S, first_S, end_S = _runs(above.reshape(length, -1))
        column_S = row_S // level_CL.shape[1]
        _, once = np.unique((column_S * length + first_S) * (length + 1) + end_S, return_index=True)
        column_S, first_S, end_S = column_S[once], first_S[once], end_S[once]
        score_S = _contrast(rows_TC, column_S, first_S, end_S)
        kept: list[int] = []
        for column in range(classes):
            own = np.flatnonzero(column_S == column)
            kept += _suppress(own, first_S, end_S, score_S)
        video_S = np.full(len(column_S), number)
        segments = Segments(video_S, column_S, first_S, end_S, score_S)
        parts.append(segments.take(np.array(kept, dtype=np.int64)))
    return _joined(parts)


def _contrast(
    rows_TC: NDArray[np.float64], column_S: Integers, first_S: Integers, end_S: Integers
) -> NDArray[np.float64]:
    """Score runs: mean inside, plus how much that exceeds the mean of a quarter length around."""
    length, classes = rows_TC.shape
    total = np.concatenate([np.zeros((1, classes)), np.cumsum(rows_TC, axis=0)])
    frames_S = end_S - first_S
    sum_S = total[end_S, column_S] - total[first_S, column_S]
    inner_S = sum_S / frames_S
    margin_S = np.maximum(1, frames_S // 4)
    left_S, right_S = np.maximum(first_S - margin_S, 0), np.minimum(end_S + margin_S, length)
    around_S = right_S - left_S - frames_S
    outer_sum_S = total[right_S, column_S] - total[left_S, column_S] - sum_S
    # A run over the whole video has nothing around it to stand out from: no contrast.
    outer_S = np.divide(outer_sum_S, around_S, out=inner_S.copy(), where=around_S > 0)
    score_S: NDArray[np.float64] = inner_S + (inner_S - outer_S)
    return score_S


def _suppress(
    own: Integers, first_S: Integers, end_S: Integers, score_S: NDArray[np.float64]
) -> list[int]:
    """Return, best first, those of `own` that overlap no better kept one by IoU above 0.6.

    `own` must come in the order of first snippets.
    """
    start_S, stop_S = first_S[own], end_S[own]
    # What starts more than a length before, or after the end, cannot overlap by as much as 0.6.
    low_S = np.searchsorted(start_S, 2 * start_S - stop_S).tolist()
    high_S = np.searchsorted(start_S, stop_S).tolist()
    open_S = np.ones(len(own), bool)
    kept: list[int] = []
    for best in np.argsort(-score_S[own], kind="stable").tolist():
        if open_S[best]:
            kept.append(int(own[best]))
            near = slice(low_S[best], high_S[best])
            iou = interval_iou(start_S[best], stop_S[best], start_S[near], stop_S[near])
            open_S[near] &= iou <= STRICT_NMS_IOU
    return kept


def interval_iou(
    start: np.int64, end: np.int64, start_G: Integers, end_G: Integers
) -> NDArray[np.float64]:
    """Return the temporal IoU of one span with others."""
    shared_G = np.maximum(np.minimum(end, end_G) - np.maximum(start, start_G), 0)
    iou_G: NDArray[np.float64] = shared_G / ((end - start) + (end_G - start_G) - shared_G)
    return iou_G


def _runs(above_TC: NDArray[np.bool_]) -> tuple[Integers, Integers, Integers]:
    """Return column, first row and last + 1 of every run of True, column after column."""
    padded_CT = np.zeros((above_TC.shape[1], len(above_TC) + 2), bool)
    padded_CT[:, 1:-1] = above_TC.T
    column_E, edge_E = np.nonzero(padded_CT[:, 1:] != padded_CT[:, :-1])
    return column_E[::2], edge_E[::2], edge_E[1::2]


def _run_maxima(rows_TC: Floats, column_S: Integers, first_S: Integers, end_S: Integers) -> Floats:
    """Return the maximum of each run."""
    if not len(column_S):
        return rows_TC[:0, 0]
    # Runs as stretches of the columns laid end to end, with one more value so that ends exist.
    flat = np.append(rows_TC.T.ravel(), rows_TC[-1, -1])
    bounds = np.stack([first_S, end_S], axis=1) + column_S[:, None] * len(rows_TC)
    maxima: Floats = np.maximum.reduceat(flat, bounds.ravel())[::2]
    return maxima


def _joined(parts: Sequence[Segments]) -> Segments:
    none = np.empty(0, dtype=np.int64)
    empty = Segments(none, none, none, none, np.empty(0))
    return Segments._make(map(np.concatenate, zip(empty, *parts, strict=True)))
