"""A scored test set: predictions beside ground truth, and the metrics of all or some videos.

N videos · T snippets · C classes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import roc_auc_score

from exvad.data.benchmarks import vadclip_events
from exvad.data.manifest import Manifest
from exvad.metrics import (
    IOUS,
    DetectionMAP,
    FrameEvent,
    Protocol,
    calibration_error,
    detection_map,
    false_alarms_per_hour,
    frame_auc_ap,
    latency_aware_ap,
)
from exvad.metrics.frames import count_frames
from exvad.metrics.latency import merged_spans

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.data.records import Video

PROTOCOLS: tuple[Protocol, ...] = ("vadclip", "strict")
NEWER_METRICS = ("latency_ap", "false_alarms_per_hour", "calibration_error")
FRAME_METRICS = (
    "frame_auc",
    "frame_ap",
    "frame_auc_abnormal",
    "frame_ap_abnormal",
    *NEWER_METRICS,
)

Metrics = Mapping[str, float | None]
"""Metric → value; None where the metric is undefined for the test set."""


@dataclass(frozen=True)
class Scored:
    """The predictions for the test videos beside their ground truth.

    Args:
        manifest: the test videos, in order, with the classes.
        scores: anomaly scores per snippet of each video, [T], 0 to 1.
        probabilities: class probabilities per snippet of each video, [T, C].
        video_scores_N: anomaly score of each whole video.
        predicted_classes: the predicted class of each video.
        frames_per_snippet: frames in a snippet.
        unlocated: ids of abnormal videos of which nobody can say when they are abnormal; frame
            metrics and mAP leave them out.
        seconds: duration of each video; None if unknown, so that no rate can be given.
    """

    manifest: Manifest
    scores: list[NDArray[np.float32]]
    probabilities: list[NDArray[np.float32]]
    video_scores_N: NDArray[np.float64]
    predicted_classes: list[str]
    frames_per_snippet: int
    unlocated: frozenset[str] = frozenset()
    seconds: Sequence[float] | None = None

    @property
    def videos(self) -> tuple[Video, ...]:
        """The test videos."""
        return self.manifest.videos

    @cached_property
    def abnormal(self) -> NDArray[np.bool_]:
        """Which videos are abnormal."""
        return np.array([video.abnormal for video in self.videos])

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Which videos have a predicted class that is one of their labels."""
        pairs = zip(self.predicted_classes, self.videos, strict=True)
        return np.array([label in video.labels for label, video in pairs])

    @cached_property
    def located(self) -> NDArray[np.bool_]:
        """Which videos count in frame metrics and mAP."""
        return np.array([video.video_id not in self.unlocated for video in self.videos])

    @cached_property
    def events_known(self) -> bool:
        """Whether every abnormal video, but for the unlocated ones, has events with known times."""
        timed = [
            bool(video.events or video.spans)
            for video, located in zip(self.videos, self.located, strict=True)
            if video.abnormal and located
        ]
        return bool(timed) and all(timed)

    @cached_property
    def lengths(self) -> list[int]:
        """Number of frames per video that are scored."""
        return [
            len(scores_T) * self.frames_per_snippet
            if video.snippets is not None
            else video.num_frames or len(scores_T) * self.frames_per_snippet
            for scores_T, video in zip(self.scores, self.videos, strict=True)
        ]

    @cached_property
    def class_events(self) -> dict[Protocol, list[list[FrameEvent]]]:
        """The true events of each video, per protocol."""
        video_ids = [video.video_id for video in self.videos]
        frames = dict(zip(video_ids, self.lengths, strict=True))
        return {
            "vadclip": vadclip_events(self.manifest, frames),
            "strict": [video.class_events() for video in self.videos],
        }

    def summary(self, chosen_N: NDArray[np.intp] | None = None) -> dict[str, float | None]:
        """Compute the summary metrics of all videos, or of chosen ones.

        Args:
            chosen_N: indices of the videos; repeated indices count again. None for all videos.

        Returns:
            frame_auc, frame_ap, the same over abnormal videos, latency_ap, calibration_error,
            video_auc, class_accuracy (0 to 1), false_alarms_per_hour (at a recall of 0.8),
            map_PROTOCOL_IOU and map_PROTOCOL_average (percent). A metric is None where it is
            undefined: frame metrics and mAP without known event times, and metrics that need
            normal and abnormal videos where there is only one kind.
        """
        chosen = list(range(len(self.videos))) if chosen_N is None else chosen_N.tolist()
        abnormal = [index for index in chosen if self.abnormal[index]]
        metrics: dict[str, float | None] = {
            **self._frame_metrics(chosen, ""),
            **self._frame_metrics(abnormal, "_abnormal"),
            **self._newer_metrics(chosen),
            "video_auc": self._video_auc(chosen),
            "class_accuracy": float(np.mean(self.correct[chosen])),
        }
        for protocol in PROTOCOLS:
            result = self._detection_map(protocol, chosen) if self.events_known else None
            per_iou = dict.fromkeys(IOUS) if result is None else result.per_iou
            average = None if result is None else result.average
            metrics |= flat_map_metrics(protocol, per_iou, average)
        return metrics

    def _frame_metrics(self, chosen: Sequence[int], suffix: str) -> dict[str, float | None]:
        names = (f"frame_auc{suffix}", f"frame_ap{suffix}")
        chosen = [index for index in chosen if self.located[index]]
        events = [self.videos[index].frame_events() for index in chosen]
        lengths = [self.lengths[index] for index in chosen]
        if not self.events_known or not any(events) or _all_abnormal(events, lengths):
            return dict.fromkeys(names)
        scores = [self.scores[index] for index in chosen]
        values = frame_auc_ap(scores, events, lengths, self.frames_per_snippet)
        return dict(zip(names, values, strict=True))

    def _newer_metrics(self, chosen: Sequence[int]) -> dict[str, float | None]:
        chosen = [index for index in chosen if self.located[index]]
        events = [self.videos[index].frame_events() for index in chosen]
        lengths = [self.lengths[index] for index in chosen]
        metrics: dict[str, float | None] = dict.fromkeys(NEWER_METRICS)
        if not self.events_known or not any(events):
            return metrics
        scores, stride = [self.scores[index] for index in chosen], self.frames_per_snippet
        if self.seconds is not None:
            seconds = [self.seconds[index] for index in chosen]
            metrics["false_alarms_per_hour"] = false_alarms_per_hour(
                scores, events, seconds, lengths=lengths, frames_per_snippet=stride
            )
        if not _all_abnormal(events, lengths):
            counts = count_frames(list(map(len, scores)), events, lengths, stride)
            metrics["latency_ap"] = latency_aware_ap(scores, events, lengths, stride)
            metrics["calibration_error"] = calibration_error(np.concatenate(scores), *counts)
        return metrics

    def _video_auc(self, chosen: list[int]) -> float | None:
        abnormal = self.abnormal[chosen]
        if abnormal.all() or not abnormal.any():
            return None
        return float(roc_auc_score(abnormal, self.video_scores_N[chosen]))

    def _detection_map(self, protocol: Protocol, chosen: Sequence[int]) -> DetectionMAP:
        chosen = [index for index in chosen if self.located[index]]
        return detection_map(
            [self.probabilities[index] for index in chosen],
            [self.class_events[protocol][index] for index in chosen],
            self.manifest.classes,
            protocol,
            self.frames_per_snippet,
        )

    def detection(self) -> dict[Protocol, DetectionMAP] | None:
        """Return detection mAP per protocol; None where event times are unknown."""
        if not self.events_known:
            return None
        everything = range(len(self.videos))
        return {protocol: self._detection_map(protocol, everything) for protocol in PROTOCOLS}

    def confusion(self) -> list[list[int]]:
        """Count the videos of each true class (row) by predicted class (column)."""
        classes = self.manifest.classes
        confusion_CC = np.zeros((len(classes), len(classes)), dtype=int)
        for video, label in zip(self.videos, self.predicted_classes, strict=True):
            confusion_CC[classes.index(video.labels[0]), classes.index(label)] += 1
        rows: list[list[int]] = confusion_CC.tolist()
        return rows

    def random_baseline(self, seed: int = 0) -> Scored:
        """Return random predictions for the same videos.

        Args:
            seed: seed of the random numbers.
        """
        rng = np.random.default_rng(seed)
        probabilities = [
            rng.dirichlet(np.ones(rows_TC.shape[1]), len(rows_TC)).astype(np.float32)
            for rows_TC in self.probabilities
        ]
        return Scored(
            self.manifest,
            [rng.random(len(scores_T)).astype(np.float32) for scores_T in self.scores],
            probabilities,
            rng.random(len(self.videos)),
            [str(label) for label in rng.choice(self.manifest.classes, len(self.videos))],
            self.frames_per_snippet,
            self.unlocated,
            self.seconds,
        )


def flat_map_metrics(
    protocol: str, per_iou: Mapping[float, float | None], average: float | None
) -> dict[str, float | None]:
    """Return mAP as summary metrics: map_PROTOCOL_IOU per threshold, and map_PROTOCOL_average."""
    by_iou = {f"map_{protocol}_{iou:.1f}": value for iou, value in per_iou.items()}
    return {**by_iou, f"map_{protocol}_average": average}


def _all_abnormal(events: Sequence[Sequence[FrameEvent]], lengths: Sequence[int]) -> bool:
    """Whether events cover every frame of every video."""
    return all(
        sum(end - start for start, end in merged_spans(video_events, length)) >= length
        for video_events, length in zip(events, lengths, strict=True)
    )
