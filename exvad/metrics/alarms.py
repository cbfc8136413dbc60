"""False alarms per hour at a fixed recall of events, computed on snippets.

T snippets · N videos · E events
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exvad.metrics.checks import validate_events, validate_scores
from exvad.metrics.frames import count_frames
from exvad.metrics.latency import merged_spans, snippet_edges, snippets_of_span
from exvad.metrics.types import Floats, FrameEvent, Integers

RECALL = 0.8


def false_alarms_per_hour(
    scores: Sequence[Floats],
    events: Sequence[Sequence[FrameEvent]],
    seconds: Sequence[float],
    recall: float = RECALL,
    lengths: Sequence[int] | None = None,
    frames_per_snippet: int = 16,
) -> float:
    """Count the false alarms per hour of video at the highest threshold that finds enough events.

    An event is found if one of its frames has a score at or above the threshold. An alarm is a run
    of snippets at or above the threshold, as long as possible; it is false if it has no abnormal
    frame. Alarms in normal and in abnormal videos count.

    Args:
        scores: one [T] array of finite anomaly scores per video.
        events: one list of (start frame, end frame, class) per video, ends exclusive; overlapping
            ones are one event.
        seconds: duration of each video, above 0.
        recall: share of the events that must be found, above 0 and up to 1.
        lengths: frames per video; T · `frames_per_snippet` if absent.
        frames_per_snippet: frames in a snippet.

    Raises:
        ValueError: shapes do not fit, a score is not finite, the recall or a duration is out of
            range, or there is no event.
    """
    scores = validate_scores(scores, "[T]")
    events = validate_events(events, len(scores), frames_per_snippet)
    if lengths is None:
        lengths = [len(scores_T) * frames_per_snippet for scores_T in scores]
    if len(seconds) != len(scores) or not min(seconds) > 0:
        raise ValueError(f"{len(scores)} videos need as many durations above 0 seconds")
    counter = AlarmCounter(scores, events, seconds, lengths, frames_per_snippet)
    rate = counter.per_hour(np.ones(len(scores), np.int64), recall)
    if rate is None:
        raise ValueError("there is no event: false alarms are counted at a recall of events")
    return rate


class AlarmCounter:
    """Counts false alarms of videos that count several times or not at all.

    Args:
        scores: one [T] array per video.
        events: one list of (start frame, end frame, class) per video.
        seconds: duration of each video.
        lengths: frames per video.
        frames_per_snippet: frames in a snippet.
    """

    def __init__(
        self,
        scores: Sequence[Floats],
        events: Sequence[Sequence[FrameEvent]],
        seconds: Sequence[float],
        lengths: Sequence[int],
        frames_per_snippet: int,
    ) -> None:
        counts = list(map(len, scores))
        positive_T, negative_T = count_frames(counts, events, lengths, frames_per_snippet)
        # Snippets beyond a video's length have no frames, so nobody is alarmed by them.
        exists_T = positive_T + negative_T > 0
        self._score_T = np.where(exists_T, np.concatenate(scores), -np.inf)
        self._abnormal_T = positive_T > 0
        self._video_T = np.repeat(np.arange(len(scores)), counts)
        self._first_T = np.zeros(len(self._score_T), bool)
        self._first_T[np.cumsum([0, *counts[:-1]])] = True
        self._seconds_N = np.asarray(seconds, np.float64)
        peaks: list[float] = []
        videos: list[int] = []
        for video, (scores_T, length) in enumerate(zip(scores, lengths, strict=True)):
            edges = snippet_edges(len(scores_T), length, frames_per_snippet)
            for start, end in merged_spans(events[video], length):
                peaks.append(float(scores_T[snippets_of_span(edges, start, end)].max()))
                videos.append(video)
        order_E = np.argsort(-np.array(peaks))
        self._peak_E = np.array(peaks)[order_E]
        self._event_video_E = np.array(videos, np.int64)[order_E]

    def per_hour(self, count_N: Integers, recall: float = RECALL) -> float | None:
        """Return the false alarms per hour with each video counted `count_N` times.

        Args:
            count_N: how often each video counts.
            recall: share of the events that must be found, above 0 and up to 1.

        Returns:
            None if no event counts.

        Raises:
            ValueError: the recall is out of range.
        """
        if not 0 < recall <= 1:
            raise ValueError(f"recall {recall}: it must lie above 0 and up to 1")
        found_E = np.cumsum(count_N[self._event_video_E])
        if not len(found_E) or not found_E[-1]:
            return None
        # The margin is for products such as 0.8 · 5, which may exceed the whole number.
        last = int(np.searchsorted(found_E, recall * found_E[-1] - 1e-9))
        above_T = self._score_T >= self._peak_E[last]
        before_T = np.concatenate([[False], above_T[:-1]]) & ~self._first_T
        begins_T = above_T & ~before_T
        alarm_A = np.cumsum(begins_T)[above_T] - 1
        is_true_A = np.bincount(alarm_A, self._abnormal_T[above_T]) > 0
        false_alarms = (count_N[self._video_T[begins_T]] * ~is_true_A).sum()
        return float(3600 * false_alarms / (count_N * self._seconds_N).sum())
