"""Latency-aware average precision: early alarms count more, computed on snippets.

T snippets · N videos · L distinct score values
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from exvad.metrics.checks import validate_events, validate_scores
from exvad.metrics.frames import count_frames
from exvad.metrics.types import Floats, FrameEvent, Integers, Numbers


def latency_aware_ap(
    scores: Sequence[Floats],
    events: Sequence[Sequence[FrameEvent]],
    lengths: Sequence[int] | None = None,
    frames_per_snippet: int = 16,
) -> float:
    """Measure average precision in which an event counts the more the earlier it is noticed.

    At a threshold, an event [a, b) is noticed at the first of its frames, f, whose score reaches
    the threshold. It earns the credit (b − f) / (b − a), and none if there is no such frame. The
    recall of the threshold is the mean credit of the events; its precision is that of frames, as
    in `frame_auc_ap`. The result sums precision × gain of recall over the thresholds from high to
    low. It is 1 if all events are noticed with their first frame before any false alarm.

    This definition is exvad's own. It follows the idea of LaAP (Liu et al., arXiv 2505.19022),
    whose exact formula may differ, so values of the two can't be compared.

    Args:
        scores: one [T] array of finite anomaly scores per video.
        events: one list of (start frame, end frame, class) per video, ends exclusive; overlapping
            ones are one event, whatever their classes.
        lengths: frames per video; T · `frames_per_snippet` if absent.
        frames_per_snippet: frames in a snippet.

    Returns:
        0 to 1.

    Raises:
        ValueError: shapes do not fit, a score is not finite, or there is no event.
    """
    scores = validate_scores(scores, "[T]")
    events = validate_events(events, len(scores), frames_per_snippet)
    if lengths is None:
        lengths = [len(scores_T) * frames_per_snippet for scores_T in scores]
    positive_T, negative_T = count_frames(
        list(map(len, scores)), events, lengths, frames_per_snippet
    )
    credit_T, events_N = latency_credits(scores, events, lengths, frames_per_snippet)
    if not events_N.any():
        raise ValueError("there is no event: a latency-aware AP needs one")
    values_L, level_T = np.unique(np.concatenate(scores), return_inverse=True)
    level_T = len(values_L) - 1 - level_T
    return credited_precision(
        np.bincount(level_T, credit_T),
        np.bincount(level_T, positive_T),
        np.bincount(level_T, negative_T),
        int(events_N.sum()),
    )


def credited_precision(
    credit_L: Numbers, positive_L: Numbers, negative_L: Numbers, events: float
) -> float:
    """Compute the latency-aware AP from sums at each distinct score, the highest score first.

    Args:
        credit_L: credits that are gained at this score; see `latency_credits`.
        positive_L: abnormal frames with this score.
        negative_L: normal frames with this score.
        events: number of events, above 0.
    """
    true_L, false_L = np.cumsum(positive_L), np.cumsum(negative_L)
    precision_L = true_L / np.maximum(true_L + false_L, 1)
    return float((credit_L * precision_L).sum() / events)


def latency_credits(
    scores: Sequence[Floats],
    events: Sequence[Sequence[FrameEvent]],
    lengths: Sequence[int],
    frames_per_snippet: int,
) -> tuple[NDArray[np.float64], Integers]:
    """Return what the recall gains at the score of each snippet, and the events of each video.

    As the threshold falls, the first frame that reaches it moves towards the start of the event,
    from one snippet that exceeds all before it to the next such one. So the credit of an event is
    a sum over its snippets with a score at or above the threshold.

    Args:
        scores: one [T] array per video.
        events: one list of (start frame, end frame, class) per video.
        lengths: frames per video.
        frames_per_snippet: frames in a snippet; the last one takes the rest of the video.

    Returns:
        Gains [ΣT], the videos one after the other, and counts [N].
    """
    credit_parts, events_N = [], np.zeros(len(scores), np.int64)
    for video, (scores_T, video_events, length) in enumerate(
        zip(scores, events, lengths, strict=True)
    ):
        credit_T = np.zeros(len(scores_T))
        edges = snippet_edges(len(scores_T), length, frames_per_snippet)
        for start, end in merged_spans(video_events, length):
            inside = snippets_of_span(edges, start, end)
            scores_S = np.asarray(scores_T[inside], np.float64)
            before_S = np.maximum.accumulate(np.concatenate([[-np.inf], scores_S[:-1]]))
            records = np.flatnonzero(scores_S > before_S)
            noticed = np.maximum(edges[:-1][inside][records], start)
            credit = (end - noticed) / (end - start)
            credit_T[inside.start + records] += credit - np.append(credit[1:], 0)
            events_N[video] += 1
        credit_parts.append(credit_T)
    return np.concatenate(credit_parts), events_N


def snippet_edges(count: int, length: int, frames_per_snippet: int) -> Integers:
    """Return the frames at which snippets begin, and the video's end, [T + 1].

    Args:
        count: T.
        length: frames of the video; the last snippet takes the rest.
        frames_per_snippet: frames in a snippet.
    """
    edges = np.minimum(np.arange(count + 1) * frames_per_snippet, length)
    edges[-1] = length
    return edges


def snippets_of_span(edges: Integers, start: int, end: int) -> slice:
    """Return the snippets that have a frame of [start, end), which lies inside the video."""
    first = int(np.searchsorted(edges, start, "right")) - 1
    return slice(first, int(np.searchsorted(edges, end, "left")))


def merged_spans(events: Sequence[FrameEvent], length: int) -> list[tuple[int, int]]:
    """Return events as spans in temporal order, cut at the video's end, overlapping ones as one."""
    spans: list[tuple[int, int]] = []
    for start, end, _ in sorted(events):
        end = min(end, length)
        if start >= end:
            continue
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans
