"""Detection mAP over temporal IoU by two named protocols, computed on snippets.

T snippets · C classes · S segments · G ground-truth events · I IoU thresholds
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from exvad.metrics.checks import validate_events, validate_scores
from exvad.metrics.matching import average_precision, event_spans, match_segments
from exvad.metrics.segments import strict_segments, vadclip_segments
from exvad.metrics.types import Floats, FrameEvent, Protocol

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
    """Measure how well events are localized and classified, by one of two protocols.

    `vadclip` computes exactly the numbers in the tables of the literature (the public evaluation
    of VadCLIP, Wu et al., AAAI 2024). A segment is a run of at least two frames in which a class's
    score lies strictly above max − 0.6·(max − min) of that class in the video. Its score is its
    maximum plus 0.7 times the mean of the video's top ⌊frames/16⌋ frames. A class whose mean is not
    above 0 has no segment in that video. The mean runs over all classes; a class without events
    counts 0. The whole value is 0 if any class has no segment at all.

    `strict` follows the paper's text: only abnormal videos and abnormal classes count. A segment
    is a run strictly above one of ten levels: the class's lowest score over those videos, and nine
    fractions (0.1 … 0.9) of its range in the video. Its score is the mean inside plus the excess of
    that mean over the mean around it (a quarter of the length on each side). Suppression removes
    segments that overlap a better one by an IoU above 0.6. A class without events or without
    segments (its score is constant) counts 0 for itself alone.

    Both protocols match greedily, the best segment first. A segment takes the event of its class
    and video that it overlaps most among those not yet taken, if their IoU reaches the threshold.
    AP is the sum of the precisions at matched segments over the number of events. The order of
    segments with equal scores depends on the order of the videos.

    Args:
        scores: one [T, C] array of finite class scores per video.
        events: one list of (start frame, end frame, class) per video, ends exclusive; events of
            classes not in `classes` are ignored.
        classes: the C class names, the normal one first.
        protocol: `vadclip` or `strict`.
        frames_per_snippet: frames in a snippet.
        ious: IoU thresholds, above 0 and up to 1.

    Raises:
        ValueError: shapes do not fit, a score is not finite, an event has no frames, a threshold is
            out of range, or the protocol is unknown.
    """
    if protocol not in get_args(Protocol):
        raise ValueError(f"unknown protocol {protocol!r}: choose vadclip or strict")
    if len(set(classes)) < len(classes) or len(classes) < 2:
        raise ValueError(f"classes are {list(classes)}: name the normal one and others, each once")
    if not ious or not all(0 < iou <= 1 for iou in ious):
        raise ValueError(f"IoU thresholds are {list(ious)}: each must lie above 0 and up to 1")
    scores = validate_scores(scores, f"[T, {len(classes)}], one column per class", len(classes))
    events = validate_events(events, len(scores), frames_per_snippet)
    strict = protocol == "strict"
    counted_classes = classes[1:] if strict else classes
    if strict:
        abnormal_videos = videos_with_events(events, counted_classes)
        events = [events[video] for video in abnormal_videos]
        segments = strict_segments(
            [scores[video][:, 1:].astype(np.float64) for video in abnormal_videos]
        )
    else:
        segments = vadclip_segments(scores, frames_per_snippet)
    precision_IC = np.zeros((len(ious), len(counted_classes)))
    # The reference stops with 0 at the first class that has no segment.
    valid = strict or len(np.unique(segments.class_S)) == len(counted_classes)
    for column, label in enumerate(counted_classes):
        class_segments = segments.take(segments.class_S == column)
        # The reference uses NumPy's default sort, which is not stable: ties must fall as there.
        order_S = np.argsort(-class_segments.score_S, kind="stable" if strict else None)
        spans = event_spans(events, label)
        hit_IS = match_segments(class_segments.take(order_S), spans, frames_per_snippet, ious)
        precision_IC[:, column] = average_precision(hit_IS, sum(map(len, spans.values())))
    per_iou = {
        float(iou): float(100 * np.mean(precision_C)) if valid else 0.0
        for iou, precision_C in zip(ious, precision_IC, strict=True)
    }
    per_class = {
        label: {float(iou): 100 * float(ap) for iou, ap in zip(ious, precision_I, strict=True)}
        for label, precision_I in zip(counted_classes, precision_IC.T, strict=True)
    }
    return DetectionMAP(per_iou, per_class, float(np.mean(list(per_iou.values()))))


def videos_with_events(events: Sequence[Sequence[FrameEvent]], classes: Sequence[str]) -> list[int]:
    """Return the indices of the videos that have an event of one of the classes."""
    return [
        video
        for video, video_events in enumerate(events)
        if any(label in classes for *_, label in video_events)
    ]
