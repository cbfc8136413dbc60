"""Frame-level AUC and average precision, without writing scores out per frame.

T snippets · L levels of the score
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from exvad.metrics.checks import FrameEvent, checked_events, checked_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Integers = NDArray[np.int64]
    Numbers = NDArray[np.number]


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
    rows = checked_scores(scores, "[T]")
    truth = checked_events(events, len(rows), frames_per_snippet)
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
