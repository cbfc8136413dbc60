"""Frame-level AUC and average precision, computed on snippets.

T snippets · L distinct score values
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exvad.metrics.checks import validate_events, validate_scores
from exvad.metrics.types import Floats, FrameEvent, Integers, Numbers


def frame_auc_ap(
    scores: Sequence[Floats],
    events: Sequence[Sequence[FrameEvent]],
    lengths: Sequence[int] | None = None,
    frames_per_snippet: int = 16,
) -> tuple[float, float]:
    """Measure frame-level AUC and average precision.

    Every frame inside an event is abnormal, whatever the event's class. A snippet's score counts
    for all its frames. The part of an event beyond the video's last frame is ignored.

    Args:
        scores: one [T] array of finite anomaly scores per video.
        events: one list of (start frame, end frame, class) per video, ends exclusive.
        lengths: frames per video; T · `frames_per_snippet` if absent. A longer video repeats its
            last score, a shorter one is cut.
        frames_per_snippet: frames in a snippet.

    Returns:
        AUC and AP, 0 to 1, equal to scikit-learn's on scores repeated per frame.

    Raises:
        ValueError: shapes do not fit, a score is not finite, an event or a video has no frames, or
            all frames are of one kind.
    """
    scores = validate_scores(scores, "[T]")
    events = validate_events(events, len(scores), frames_per_snippet)
    if lengths is None:
        lengths = [len(scores_T) * frames_per_snippet for scores_T in scores]
    if len(lengths) != len(scores):
        raise ValueError(f"{len(lengths)} lengths for {len(scores)} videos: give one per video")
    positive_T, negative_T = count_frames(
        list(map(len, scores)), events, lengths, frames_per_snippet
    )
    if not positive_T.any() or not negative_T.any():
        kind = "abnormal" if positive_T.any() else "normal"
        raise ValueError(f"all frames are {kind}: AUC and AP need both kinds")
    values_L, level_T = np.unique(np.concatenate(scores), return_inverse=True)
    level_T = len(values_L) - 1 - level_T
    return auc_and_ap(np.bincount(level_T, positive_T), np.bincount(level_T, negative_T))


def count_frames(
    num_snippets: Sequence[int],
    events: Sequence[Sequence[FrameEvent]],
    lengths: Sequence[int],
    frames_per_snippet: int,
) -> tuple[Integers, Integers]:
    """Count the abnormal and the normal frames of each snippet.

    Args:
        num_snippets: snippets per video.
        events: one list of (start frame, end frame, class) per video, ends exclusive.
        lengths: frames per video.
        frames_per_snippet: frames in a snippet; the last snippet takes the rest of the video.

    Returns:
        Abnormal and normal frames, two arrays [ΣT] with the videos one after the other.

    Raises:
        ValueError: a video has no frames.
    """
    frames, abnormal = [], []
    for index, (count, video_events, length) in enumerate(
        zip(num_snippets, events, lengths, strict=True)
    ):
        if length < 1:
            raise ValueError(f"the length of video {index} is {length} frames: at least 1 needed")
        edges = np.minimum(np.arange(count + 1) * frames_per_snippet, length)
        edges[-1] = length
        frames.append(np.diff(edges))
        abnormal.append(_frames_inside_events(edges, video_events))
    positive_T = np.concatenate(abnormal)
    return positive_T, np.concatenate(frames) - positive_T


def _frames_inside_events(edges: Integers, events: Sequence[FrameEvent]) -> Integers:
    """Count the frames of each interval [edges[i], edges[i+1]) that lie inside any event."""
    inside_T = np.zeros(len(edges) - 1, dtype=np.int64)
    covered_until = 0
    for start, end, _ in sorted(events):
        uncovered_start = max(start, covered_until)
        if end > uncovered_start:
            overlap_T = np.minimum(edges[1:], end) - np.maximum(edges[:-1], uncovered_start)
            inside_T += np.maximum(overlap_T, 0)
            covered_until = end
    return inside_T


def auc_and_ap(positive_L: Numbers, negative_L: Numbers) -> tuple[float, float]:
    """Compute AUC and AP from the counts at each distinct score, the highest score first.

    Args:
        positive_L: positives with this score; at least one in total.
        negative_L: negatives with this score; at least one in total.

    Returns:
        AUC and AP, 0 to 1.
    """
    positives, negatives = positive_L.sum(), negative_L.sum()
    true_L, false_L = np.cumsum(positive_L), np.cumsum(negative_L)
    auc = (negative_L * (true_L - positive_L / 2)).sum() / (positives * negatives)
    # Snippets beyond a video's length have no frames, and may have the highest score.
    precision_L = true_L / np.maximum(true_L + false_L, 1)
    return float(auc), float((positive_L * precision_L).sum() / positives)
