"""Frame metrics of videos that count several times or not at all, from scores sorted only once.

N videos · T snippets · L distinct score values
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from exvad.metrics.alarms import AlarmCounter
from exvad.metrics.frames import auc_and_ap, count_frames
from exvad.metrics.latency import credited_precision, latency_credits
from exvad.metrics.reliability import binned_error, score_bins
from exvad.metrics.types import Floats, Integers, Numbers

if TYPE_CHECKING:
    from exvad.evaluation.scored import Scored


class ResampledRanking:
    """AUC and AP of resampled videos.

    Args:
        score_T: scores of all videos, one after the other.
        positive_T: positives that each score stands for.
        negative_T: negatives that each score stands for.
        video_T: index of the video that each score belongs to.
    """

    def __init__(
        self, score_T: Floats, positive_T: Integers, negative_T: Integers, video_T: Integers
    ) -> None:
        values_L, level_T = np.unique(score_T, return_inverse=True)
        self._level_T = len(values_L) - 1 - level_T
        self._positive_T, self._negative_T, self._video_T = positive_T, negative_T, video_T

    def auc_ap(self, count_N: Integers) -> tuple[float, float] | None:
        """Return AUC and AP with each video counted `count_N` times; None for one kind only."""
        positive_L = self.by_level(self._positive_T, count_N)
        negative_L = self.by_level(self._negative_T, count_N)
        if not positive_L.any() or not negative_L.any():
            return None
        return auc_and_ap(positive_L, negative_L)

    def by_level(self, values_T: Numbers, count_N: Integers) -> Numbers:
        """Return the sums of values at each distinct score, the highest first, [L].

        Args:
            values_T: a value per score.
            count_N: how often each video counts.
        """
        sums_L: Numbers = np.bincount(self._level_T, values_T * count_N[self._video_T])
        return sums_L


class ResampledFrames:
    """Computes the frame metrics of `Scored.summary` for many resamples of the videos.

    Args:
        scored: the test set; its events must be known.
    """

    def __init__(self, scored: Scored) -> None:
        snippets = [len(scores_T) for scores_T in scored.scores]
        events = [video.frame_events() for video in scored.videos]
        stride = scored.frames_per_snippet
        self._score_T = np.concatenate(scored.scores)
        self._video_T = np.repeat(np.arange(len(snippets)), snippets)
        self._positive_T, self._negative_T = count_frames(snippets, events, scored.lengths, stride)
        self._ranking = ResampledRanking(
            self._score_T, self._positive_T, self._negative_T, self._video_T
        )
        self._abnormal_N, self._located_N = scored.abnormal, scored.located
        self._credit_T, self._events_N = latency_credits(
            scored.scores, events, scored.lengths, stride
        )
        self._bin_T = score_bins(self._score_T)
        self._alarms: AlarmCounter | None = None
        if scored.seconds is not None:
            self._alarms = AlarmCounter(
                scored.scores, events, scored.seconds, scored.lengths, stride
            )

    def __call__(self, count_N: Integers) -> dict[str, float | None]:
        """Return the metrics with each video counted `count_N` times."""
        count_N = count_N * self._located_N
        metrics: dict[str, float | None] = {}
        for suffix, weight_N in (("", count_N), ("_abnormal", count_N * self._abnormal_N)):
            auc, ap = self._ranking.auc_ap(weight_N) or (None, None)
            metrics |= {f"frame_auc{suffix}": auc, f"frame_ap{suffix}": ap}
        count_T = count_N[self._video_T]
        positive_T, negative_T = self._positive_T * count_T, self._negative_T * count_T
        events = int((self._events_N * count_N).sum())
        both = metrics["frame_ap"] is not None
        metrics["latency_ap"] = self._latency_ap(count_N, events) if events and both else None
        metrics["false_alarms_per_hour"] = self._alarms.per_hour(count_N) if self._alarms else None
        metrics["calibration_error"] = (
            binned_error(self._bin_T, self._score_T, positive_T, negative_T) if both else None
        )
        return metrics

    def _latency_ap(self, count_N: Integers, events: int) -> float:
        ranking = self._ranking
        return credited_precision(
            ranking.by_level(self._credit_T, count_N),
            ranking.by_level(self._positive_T, count_N),
            ranking.by_level(self._negative_T, count_N),
            events,
        )
