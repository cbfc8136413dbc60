"""The field's figures: frame AUC and AP, and mAP over temporal IoU by two named protocols.

All of it works on snippets and never writes scores out per frame.

T snippets · C classes · S segments · G ground-truth events · I thresholds
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from exvad.matching import average_precision, match_segments, spans_of
from exvad.segments import strict_segments, vadclip_segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Integers = NDArray[np.int64]
    Numbers = NDArray[np.number]

Protocol = Literal["vadclip", "strict"]
FrameEvent = tuple[int, int, str]

IOUS = (0.1, 0.2, 0.3, 0.4, 0.5)


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


def detection_map(
    scores: Sequence[Floats],
    events: Sequence[Sequence[FrameEvent]],
    classes: Sequence[str],
    protocol: Protocol,
    frames_per_snippet: int = 16,
    *,
    ious: Sequence[float] = IOUS,
) -> DetectionMAP:
    """Measure how well events are found and named, by one of two protocols.

    `vadclip` computes what the tables of the literature hold, figure for figure (the public
    evaluation of VadCLIP, Wu et al., AAAI 2024): segments are the runs of at least two frames
    strictly above max − 0.6·(max − min) of a class in a video, scored by their maximum plus 0.7
    times the mean of the video's top ⌊frames/16⌋; a class whose mean is not above 0 has none in
    that video. The mean runs over all classes, one without events counting 0; the whole value is 0
    if any class has no segment at all.

    `strict` does what the paper's text says: abnormal videos and abnormal classes only. Segments
    are the runs strictly above ten levels: the class's lowest score over those videos, and nine
    fractions (0.1 … 0.9) of its range in the video. They are scored by the mean inside plus what
    that exceeds the mean around it by (a quarter of the length to each side), and thinned by
    suppression at IoU 0.6. A class without events or without segments (its score is the same
    everywhere) counts 0 for itself alone.

    Both match greedily, best segment first: a segment takes the event it overlaps most of those of
    its class and video not yet taken, if their IoU reaches the threshold. AP is the sum of the
    precisions at matched segments over the number of events. Segments of equal score come in an
    order that depends on the order of the videos.

    Args:
        scores: one [T, C] array of finite class scores per video.
        events: one list of (start frame, end frame, class) per video, ends exclusive; events of
            classes not in `classes` are ignored.
        classes: the C class names, the normal one first.
        protocol: `vadclip` or `strict`.
        frames_per_snippet: frames a snippet stands for.
        ious: IoU thresholds, above 0 and up to 1.

    Raises:
        ValueError: shapes do not fit, a score is not finite, an event has no frames, a threshold is
            out of range, or the protocol is unknown.
    """
    if protocol not in ("vadclip", "strict"):
        raise ValueError(f"unknown protocol {protocol!r}: choose vadclip or strict")
    if len(set(classes)) < len(classes) or len(classes) < 2:
        raise ValueError(f"classes are {list(classes)}: name the normal one and others, each once")
    if not ious or not all(0 < iou <= 1 for iou in ious):
        raise ValueError(f"IoU thresholds are {list(ious)}: each must lie above 0 and up to 1")
    rows = _checked_scores(scores, f"[T, {len(classes)}], one column per class", len(classes))
    truth = _checked_events(events, len(rows), frames_per_snippet)
    strict = protocol == "strict"
    counted = classes[1:] if strict else classes
    if strict:
        abnormal = set(counted)
        kept = [n for n, own in enumerate(truth) if any(label in abnormal for *_, label in own)]
        truth = [truth[n] for n in kept]
        found = strict_segments([rows[n][:, 1:].astype(np.float64) for n in kept])
    else:
        found = vadclip_segments(rows, frames_per_snippet)
    precision_IC = np.zeros((len(ious), len(counted)))
    # The reference gives up, with 0, at the first class that has no segment.
    valid = strict or len(np.unique(found.column_S)) == len(counted)
    for column, label in enumerate(counted):
        own = found.take(found.column_S == column)
        # NumPy's default is the reference's, and not stable: ties must fall as they do there.
        own = own.take(np.argsort(-own.score_S, kind="stable" if strict else None))
        spans = spans_of(truth, label)
        hit_IS = match_segments(own, spans, frames_per_snippet, ious)
        precision_IC[:, column] = average_precision(hit_IS, sum(map(len, spans.values())))
    per_iou = {
        float(iou): float(100 * np.mean(row_C)) if valid else 0.0
        for iou, row_C in zip(ious, precision_IC, strict=True)
    }
    per_class = {
        label: {float(iou): 100 * float(ap) for iou, ap in zip(ious, ap_I, strict=True)}
        for label, ap_I in zip(counted, precision_IC.T, strict=True)
    }
    return DetectionMAP(per_iou, per_class, float(np.mean(list(per_iou.values()))))


def frame_auc_ap(
    scores: Sequence[Floats],
    events: Sequence[Sequence[FrameEvent]],
    lengths: Sequence[int] | None = None,
    frames_per_snippet: int = 16,
) -> tuple[float, float]:
    """Measure frame-level AUC and average precision.

    Every frame inside an event is abnormal, whatever the event's class; a snippet's score counts
    for all its frames. What an event claims beyond the video's last frame is not there to count.

    Args:
        scores: one [T] array of finite anomaly scores per video.
        events: one list of (start frame, end frame, class) per video, ends exclusive.
        lengths: frames per video; T·frames_per_snippet if absent. A longer video repeats its last
            score, a shorter one is cut.
        frames_per_snippet: frames a snippet stands for.

    Returns:
        AUC and AP, 0 to 1, equal to scikit-learn's on scores repeated per frame.

    Raises:
        ValueError: shapes do not fit, a score is not finite, an event or a video has no frames, or
            all frames are of one kind.
    """
    rows = _checked_scores(scores, "[T]")
    truth = _checked_events(events, len(rows), frames_per_snippet)
    if lengths is None:
        lengths = [len(rows_T) * frames_per_snippet for rows_T in rows]
    if len(lengths) != len(rows):
        raise ValueError(f"{len(lengths)} lengths for {len(rows)} videos: give one per video")
    positive_T, negative_T = count_frames(list(map(len, rows)), truth, lengths, frames_per_snippet)
    if not positive_T.any() or not negative_T.any():
        kind = "abnormal" if positive_T.any() else "normal"
        raise ValueError(f"all frames are {kind}: AUC and AP need both kinds")
    levels, group_T = np.unique(np.concatenate(rows), return_inverse=True)
    group_T = len(levels) - 1 - group_T
    return rank_figures(np.bincount(group_T, positive_T), np.bincount(group_T, negative_T))


def count_frames(
    snippets: Sequence[int],
    events: Sequence[Sequence[FrameEvent]],
    lengths: Sequence[int],
    frames_per_snippet: int,
) -> tuple[Integers, Integers]:
    """Return how many frames each snippet stands for, the abnormal and the normal ones apart.

    Args:
        snippets: how many snippets each video has.
        events: one list of (start frame, end frame, class) per video.
        lengths: frames per video.
        frames_per_snippet: frames a snippet stands for; the last one takes what is left.

    Returns:
        Two arrays [ΣT], the videos one after the other.

    Raises:
        ValueError: a video has no frames.
    """
    frames, abnormal = [], []
    for number, (count, own, length) in enumerate(zip(snippets, events, lengths, strict=True)):
        if length < 1:
            raise ValueError(f"video {number} is said to have {length} frames: at least 1")
        edges = np.minimum(np.arange(count + 1) * frames_per_snippet, length)
        edges[-1] = length
        frames.append(np.diff(edges))
        abnormal.append(_covered(edges, own))
    positive_T = np.concatenate(abnormal)
    return positive_T, np.concatenate(frames) - positive_T


def _checked_scores(
    scores: Sequence[Floats], expected: str, classes: int | None = None
) -> list[Floats]:
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


def _checked_events(
    events: Sequence[Sequence[FrameEvent]], videos: int, frames_per_snippet: int
) -> list[list[FrameEvent]]:
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


def _covered(edges: Integers, events: Sequence[FrameEvent]) -> Integers:
    """Return how many frames of each interval [edges[i], edges[i+1]) lie inside any event."""
    inside = np.zeros(len(edges) - 1, dtype=np.int64)
    reached = 0
    for start, end, _ in sorted(events):
        fresh = max(start, reached)
        if end > fresh:
            overlap = np.minimum(edges[1:], end) - np.maximum(edges[:-1], fresh)
            inside += np.maximum(overlap, 0)
            reached = end
    return inside


def rank_figures(positive_L: Numbers, negative_L: Numbers) -> tuple[float, float]:
    """Return AUC and AP from the positives and negatives at each level of the score, highest first.

    Args:
        positive_L: how many positives have this score.
        negative_L: how many negatives have it; both kinds occur.
    """
    positives, negatives = positive_L.sum(), negative_L.sum()
    true, false = np.cumsum(positive_L), np.cumsum(negative_L)
    area = (negative_L * (true - positive_L / 2)).sum() / (positives * negatives)
    # Snippets beyond a video's length stand for no frame, and may come first.
    precision = true / np.maximum(true + false, 1)
    return float(area), float((positive_L * precision).sum() / positives)
