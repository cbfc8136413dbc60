"""The field's figures: frame AUC and AP, and mAP over temporal IoU by two named protocols.

All of it works on snippets and never writes scores out per frame.

T snippets · C classes · S segments · G ground-truth events · I thresholds
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from exvad.metrics.checks import FrameEvent, checked_events, checked_scores
from exvad.metrics.matching import average_precision, match_segments, spans_of
from exvad.metrics.segments import strict_segments, vadclip_segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Integers = NDArray[np.int64]
    Numbers = NDArray[np.number]

Protocol = Literal["vadclip", "strict"]

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
    rows = checked_scores(scores, f"[T, {len(classes)}], one column per class", len(classes))
    truth = checked_events(events, len(rows), frames_per_snippet)
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
