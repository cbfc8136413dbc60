"""The field's figures: frame AUC and AP, and mAP over temporal IoU by two named protocols.

All of it works on snippets and never writes scores out per frame.

T snippets · C classes · N videos · S segments · G ground-truth events
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Protocol = Literal["vadclip", "strict"]
FrameEvent = tuple[int, int, str]

IOUS = (0.1, 0.2, 0.3, 0.4, 0.5)
VADCLIP_FRACTION = np.float64(0.6)
VADCLIP_TOP = 16
VADCLIP_MEAN_WEIGHT = 0.7
VADCLIP_LEAST_FRAMES = 2
STRICT_THRESHOLDS = np.linspace(0.1, 0.9, 9)
NMS_IOU = 0.6


@dataclass(frozen=True)
class DetectionMAP:
    """Mean average precision of detected events, in percent.

    Args:
        per_iou: IoU threshold → mean over the classes.
        per_class: class → IoU threshold → average precision; only the classes that count.
        average: mean of `per_iou`.
    """

    per_iou: dict[float, float]
    per_class: dict[str, dict[float, float]]
    average: float


class _Segments(NamedTuple):
    """Predicted segments of one class, best first: video number, first and last+1 frame."""

    video_S: NDArray[np.int64]
    start_S: NDArray[np.int64]
    end_S: NDArray[np.int64]


def detection_map(
    scores: Sequence[NDArray[np.floating]],
    events: Sequence[Sequence[FrameEvent]],
    classes: Sequence[str],
    protocol: Protocol,
    frames_per_snippet: int = 16,
    ious: Sequence[float] = IOUS,
) -> DetectionMAP:
    """Measure how well events are found and named.

    `vadclip` computes what the tables of the literature hold, figure for figure: runs of at least
    two frames strictly above max − 0.6·(max − min) of a class in a video, scored by their maximum
    plus 0.7 times the mean of the video's top ⌊frames/16⌋; greedy matching; the mean over all
    classes, an absent one counting 0; the whole value 0 if a class has no predicted segment.

    `strict` does what the paper's text says: abnormal videos and abnormal classes only. Proposals
    are the runs above nine fractions (0.1 … 0.9) of a class's score range over the test set, scored
    by their mean inside minus the mean of their surroundings plus their mean, thinned by NMS at IoU
    0.6; a class without predictions or events counts 0 for itself alone.

    Args:
        scores: one [T, C] array of class scores per video.
        events: one list of (start frame, end frame, class) per video, ends exclusive; events of
            classes not in `classes` are ignored.
        classes: the C class names, the normal one first.
        protocol: `vadclip` or `strict`.
        frames_per_snippet: frames a snippet stands for.
        ious: IoU thresholds.

    Raises:
        ValueError: shapes do not fit, a score is not finite, an event is empty or the protocol is
            unknown.
    """
    _check(scores, events, frames_per_snippet)
    for number, rows in enumerate(scores):
        if rows.ndim != 2 or rows.shape[1] != len(classes):
            raise ValueError(
                f"scores of video {number} have shape {rows.shape}: expected [T, {len(classes)}], "
                "one column per class"
            )
    if protocol == "vadclip":
        return _vadclip(scores, events, classes, frames_per_snippet, ious)
    if protocol == "strict":
        return _strict(scores, events, classes, frames_per_snippet, ious)
    raise ValueError(f"unknown protocol {protocol!r}: choose vadclip or strict")


def frame_auc_ap(
    scores: Sequence[NDArray[np.floating]],
    events: Sequence[Sequence[FrameEvent]],
    lengths: Sequence[int] | None = None,
    frames_per_snippet: int = 16,
) -> tuple[float, float]:
    """Measure frame-level AUC and average precision.

    Every frame inside an event is abnormal, whatever the event's class; a snippet's score counts
    for all its frames.

    Args:
        scores: one [T] array of anomaly scores per video.
        events: one list of (start frame, end frame, class) per video, ends exclusive.
        lengths: frames per video; T·frames_per_snippet if absent. A longer video repeats its last
            score, a shorter one is cut.
        frames_per_snippet: frames a snippet stands for.

    Returns:
        AUC and AP, 0 to 1, equal to scikit-learn's on scores repeated per frame.

    Raises:
        ValueError: shapes do not fit, a score is not finite, an event is empty, or all frames are
            of one kind.
    """
    _check(scores, events, frames_per_snippet)
    if lengths is not None and len(lengths) != len(scores):
        raise ValueError(f"{len(lengths)} lengths for {len(scores)} videos")
    frames, abnormal = [], []
    for number, (rows_T, video_events) in enumerate(zip(scores, events, strict=True)):
        if rows_T.ndim != 1:
            raise ValueError(f"scores of video {number} have shape {rows_T.shape}: expected [T]")
        length = len(rows_T) * frames_per_snippet if lengths is None else int(lengths[number])
        edges = np.minimum(np.arange(len(rows_T) + 1) * frames_per_snippet, length)
        edges[-1] = length
        frames.append(np.diff(edges))
        abnormal.append(_covered(edges, video_events))
    positive_T, total_T = np.concatenate(abnormal), np.concatenate(frames)
    return _rank_figures(np.concatenate(list(scores)), positive_T, total_T - positive_T)


def _check(
    scores: Sequence[NDArray[np.floating]],
    events: Sequence[Sequence[FrameEvent]],
    frames_per_snippet: int,
) -> None:
    if len(scores) != len(events):
        raise ValueError(f"{len(scores)} videos have scores, {len(events)} have lists of events")
    if not scores:
        raise ValueError("there is no video to score")
    if frames_per_snippet < 1:
        raise ValueError(f"frames_per_snippet is {frames_per_snippet}: at least 1")
    for number, (rows, video_events) in enumerate(zip(scores, events, strict=True)):
        if not len(rows):
            raise ValueError(f"video {number} has no scores")
        if not np.isfinite(rows).all():
            raise ValueError(f"scores of video {number} hold NaN or infinite values")
        for start, end, label in video_events:
            if not 0 <= start < end:
                raise ValueError(
                    f"event {label} of video {number}: frames {start} to {end} are empty"
                )


def _covered(edges: NDArray[np.int64], events: Sequence[FrameEvent]) -> NDArray[np.int64]:
    """Return how many frames of each interval [edges[i], edges[i+1]) lie inside any event."""
    inside = np.zeros(len(edges) - 1, dtype=np.int64)
    reached = 0
    for start, end, _ in sorted(events):
        start = max(start, reached)
        if end > start:
            overlap = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
            inside += np.maximum(overlap, 0)
            reached = end
    return inside


def _rank_figures(
    score_T: NDArray[np.floating], positive_T: NDArray[np.int64], negative_T: NDArray[np.int64]
) -> tuple[float, float]:
    """Return AUC and AP of weighted scores, equal scores taken together."""
    positives, negatives = int(positive_T.sum()), int(negative_T.sum())
    if not positives or not negatives:
        kind = "normal" if not positives else "abnormal"
        raise ValueError(f"all frames are {kind}: AUC and AP need both kinds")
    _, group_T = np.unique(-score_T.astype(np.float64), return_inverse=True)
    group_positive = np.bincount(group_T, positive_T)
    group_negative = np.bincount(group_T, negative_T)
    true, false = np.cumsum(group_positive), np.cumsum(group_negative)
    area = (group_negative * (true - group_positive / 2)).sum() / (positives * negatives)
    shown = true + false
    precision = np.divide(true, shown, out=np.ones_like(true), where=shown > 0)
    return float(area), float((group_positive * precision).sum() / positives)


def _vadclip(
    scores: Sequence[NDArray[np.floating]],
    events: Sequence[Sequence[FrameEvent]],
    classes: Sequence[str],
    fps: int,
    ious: Sequence[float],
) -> DetectionMAP:
    found: list[list[NDArray[np.float64]]] = [[] for _ in classes]
    for number, rows_TC in enumerate(scores):
        for column, segments_S4 in enumerate(_vadclip_segments(number, rows_TC, fps)):
            if len(segments_S4):
                found[column].append(segments_S4)
    precision = np.zeros((len(classes), len(ious)))
    for column, label in enumerate(classes):
        if found[column]:
            segments_S4 = np.concatenate(found[column])
            segments_S4 = segments_S4[np.argsort(-segments_S4[:, 3])]
            whole = segments_S4[:, :3].astype(np.int64)
            best_first = _Segments(whole[:, 0], whole[:, 1], whole[:, 2])
            precision[column] = _average_precision(best_first, _truth(events, label), ious)
    means = precision.mean(0) if all(found) else np.zeros(len(ious))
    return _result(100 * precision, 100 * means, classes, ious)


def _vadclip_segments(
    number: int, rows_TC: NDArray[np.floating], fps: int
) -> list[NDArray[np.float64]]:
    """Return one video's segments per class, [S, 4]: video, start, end, score; best first.

    Sums and orders are taken as the reference takes them, in the scores' own number type, so that
    even ties fall as they do there.
    """
    top = len(rows_TC) * fps // VADCLIP_TOP
    if not top:
        return [np.empty((0, 4))] * rows_TC.shape[1]
    descending_TC = -np.sort(-rows_TC, axis=0)[: -(-top // fps)]
    mean_C = np.mean(np.repeat(descending_TC, fps, axis=0)[:top], axis=0)
    rows_TC = rows_TC * (mean_C > 0)
    low_C, high_C = rows_TC.min(0), rows_TC.max(0)
    threshold_C = high_C - (high_C - low_C) * VADCLIP_FRACTION
    runs = _runs(rows_TC > threshold_C)
    segments = []
    for column, (first_S, last_S) in enumerate(runs):
        long = (last_S - first_S) * fps >= VADCLIP_LEAST_FRAMES
        first_S, last_S = first_S[long], last_S[long]
        weight = rows_TC.dtype.type(VADCLIP_MEAN_WEIGHT)
        peak_S = _run_maxima(rows_TC[:, column], first_S, last_S)
        score_S = (peak_S + weight * mean_C[column]).astype(np.float64)
        rows_S4 = np.stack(
            [np.full(len(first_S), number, float), first_S * fps, last_S * fps, score_S], axis=1
        )
        segments.append(rows_S4[np.argsort(-score_S)])
    return segments


def _strict(
    scores: Sequence[NDArray[np.floating]],
    events: Sequence[Sequence[FrameEvent]],
    classes: Sequence[str],
    fps: int,
    ious: Sequence[float],
) -> DetectionMAP:
    abnormal = set(classes[1:])
    kept = [
        number
        for number, video_events in enumerate(events)
        if any(label in abnormal for _, _, label in video_events)
    ]
    precision = np.zeros((len(classes) - 1, len(ious)))
    truth_events = [events[number] for number in kept]
    for column, label in enumerate(classes[1:], 1):
        columns = [np.asarray(scores[number][:, column], dtype=np.float64) for number in kept]
        truth = _truth(truth_events, label)
        if columns and truth:
            segments = _strict_segments(columns, fps)
            precision[column - 1] = _average_precision(segments, truth, ious)
    means = precision.mean(0) if len(precision) else np.zeros(len(ious))
    return _result(100 * precision, 100 * means, classes[1:], ious)


def _strict_segments(columns: Sequence[NDArray[np.float64]], fps: int) -> _Segments:
    """Propose runs at several levels of a class's score range and thin them by NMS."""
    low = min(float(column.min()) for column in columns)
    high = max(float(column.max()) for column in columns)
    levels_L = low + (high - low) * STRICT_THRESHOLDS
    videos, starts, ends, values = [], [], [], []
    for number, column_T in enumerate(columns):
        runs = [run for run in _runs(column_T[:, None] > levels_L) if len(run[0])]
        if not runs:
            continue
        spans = np.unique(np.concatenate([np.stack(run, axis=1) for run in runs]), axis=0)
        score_S = _contrast(column_T, spans[:, 0], spans[:, 1])
        kept = _suppress(spans, score_S)
        videos.append(np.full(len(kept), number))
        starts.append(spans[kept, 0] * fps)
        ends.append(spans[kept, 1] * fps)
        values.append(score_S[kept])
    if not videos:
        empty = np.empty(0, np.int64)
        return _Segments(empty, empty, empty)
    order = np.argsort(-np.concatenate(values), kind="stable")
    joined = (np.concatenate(parts)[order] for parts in (videos, starts, ends))
    return _Segments(*joined)


def _contrast(
    column_T: NDArray[np.float64], first_S: NDArray[np.int64], last_S: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Score runs: mean inside, plus how much that exceeds the mean of a quarter length around."""
    total = np.concatenate([[0.0], np.cumsum(column_T)])
    length_S = last_S - first_S
    inside_S = (total[last_S] - total[first_S]) / length_S
    margin_S = np.maximum(1, length_S // 4)
    left_S = np.maximum(first_S - margin_S, 0)
    right_S = np.minimum(last_S + margin_S, len(column_T))
    around_S = (right_S - left_S) - length_S
    outside_S = (total[right_S] - total[left_S]) - (total[last_S] - total[first_S])
    outer_S = np.divide(outside_S, around_S, out=np.zeros_like(outside_S), where=around_S > 0)
    scored_S: NDArray[np.float64] = inside_S + (inside_S - outer_S)
    return scored_S


def _suppress(spans_S2: NDArray[np.int64], score_S: NDArray[np.float64]) -> list[int]:
    """Non-maximum suppression: keep the best spans that overlap no better one by IoU > 0.6."""
    order = np.argsort(-score_S, kind="stable")
    kept: list[int] = []
    while len(order):
        best, order = int(order[0]), order[1:]
        kept.append(best)
        iou = _iou(spans_S2[best, 0], spans_S2[best, 1], spans_S2[order, 0], spans_S2[order, 1])
        order = order[iou <= NMS_IOU]
    return kept


def _truth(events: Sequence[Sequence[FrameEvent]], label: str) -> dict[int, NDArray[np.int64]]:
    """Return video number → [G, 2] frames of a class's events."""
    truth = {}
    for number, video_events in enumerate(events):
        spans = [(start, end) for start, end, name in video_events if name == label]
        if spans:
            truth[number] = np.array(spans, dtype=np.int64)
    return truth


def _average_precision(
    segments: _Segments, truth: dict[int, NDArray[np.int64]], ious: Sequence[float]
) -> NDArray[np.float64]:
    """Match segments greedily, best first, and return AP per IoU: Σ precision at hits / G.

    A segment takes the still free event of its video that it overlaps most, if that is enough.
    """
    total = sum(len(spans) for spans in truth.values())
    if not total:
        return np.zeros(len(ious))
    overlaps = [
        (rank, int(video), _iou(start, end, truth[int(video)][:, 0], truth[int(video)][:, 1]))
        for rank, (video, start, end) in enumerate(zip(*segments, strict=True))
        if int(video) in truth
    ]
    precision = np.zeros(len(ious))
    for column, least in enumerate(ious):
        free = {video: np.ones(len(spans), bool) for video, spans in truth.items()}
        hits: list[int] = []
        for rank, video, iou_G in overlaps:
            open_G = np.where(free[video], iou_G, -1.0)
            best = int(open_G.argmax())
            if open_G[best] >= least:
                free[video][best] = False
                hits.append(rank)
        precision[column] = sum((n + 1) / (rank + 1) for n, rank in enumerate(hits)) / total
    return precision


def _iou(
    start: NDArray[np.int64] | int,
    end: NDArray[np.int64] | int,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the temporal IoU of one span with others."""
    shared = np.maximum(np.minimum(end, ends) - np.maximum(start, starts), 0)
    union = (end - start) + (ends - starts) - shared
    iou: NDArray[np.float64] = shared / union
    return iou


def _runs(above_TC: NDArray[np.bool_]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return, for each column, where its runs of True begin and where they end (exclusive)."""
    blank_1C = np.zeros((1, above_TC.shape[1]), bool)
    padded = np.concatenate([blank_1C, above_TC, blank_1C]).astype(np.int8)
    column_E, edge_E = np.nonzero(np.diff(padded, axis=0).T)
    cuts = np.searchsorted(column_E, np.arange(above_TC.shape[1] + 1))
    edges = [edge_E[cuts[c] : cuts[c + 1]] for c in range(above_TC.shape[1])]
    return [(own[0::2], own[1::2]) for own in edges]


def _run_maxima(
    column_T: NDArray[np.floating], first_S: NDArray[np.int64], last_S: NDArray[np.int64]
) -> NDArray[np.floating]:
    """Return the maximum of each run."""
    if not len(first_S):
        return column_T[:0]
    bounds = np.stack([first_S, last_S], axis=1).ravel()
    padded_T = np.append(column_T, column_T[-1:])
    maxima: NDArray[np.floating] = np.maximum.reduceat(padded_T, bounds)[::2]
    return maxima


def _result(
    percent: NDArray[np.float64],
    means: NDArray[np.float64],
    classes: Sequence[str],
    ious: Sequence[float],
) -> DetectionMAP:
    per_class = {
        label: {float(iou): float(value) for iou, value in zip(ious, row, strict=True)}
        for label, row in zip(classes, percent, strict=True)
    }
    per_iou = {float(iou): float(mean) for iou, mean in zip(ious, means, strict=True)}
    return DetectionMAP(per_iou, per_class, float(np.mean(list(per_iou.values()))))
