"""Evaluation: a checkpoint, features and a manifest → metrics, analyses and ground truth.

N videos · T snippets · C classes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.data.manifest import Manifest
from exvad.evaluation.bootstrap import bootstrap_intervals
from exvad.evaluation.per_class import metrics_per_class
from exvad.evaluation.resampling import ResampledMetrics
from exvad.evaluation.scored import Scored
from exvad.evaluation.truth import locate_events
from exvad.store.examples import whole_example

if TYPE_CHECKING:
    from exvad.checkpoints.zero_shot import AnyCheckpoint
    from exvad.data.annotations.clock import FrameClock
    from exvad.data.records import Video
    from exvad.inference.prediction import Prediction
    from exvad.metrics import DetectionMAP, Protocol
    from exvad.results import Analysis
    from exvad.store.feature_bank import VideoFeatures


@dataclass(frozen=True)
class Evaluation:
    """The result of measuring a checkpoint on a test set.

    Args:
        metrics: frame_auc, frame_ap, the same over abnormal videos, latency_ap, calibration_error,
            video_auc, class_accuracy, explanation_class_accuracy (0 to 1), false_alarms_per_hour,
            frames_per_class (see `metrics_per_class`), map and map_per_class (percent), intervals
            (bootstrap, 95 %), random (the random baseline), confusion, counts of videos, and
            beyond_the_end (video → its events beyond its end).
        analyses: the analysis of every test video.
        videos: the test videos with their ground truth in frames, in the same order.
        notes: a sentence per video with events beyond its end, and one about classes that no test
            video shows.
        clocks: when the frames of the videos are shown, in the same order.
    """

    metrics: dict[str, Any]
    analyses: list[Analysis]
    videos: list[Video]
    notes: list[str]
    clocks: list[FrameClock]


def evaluate(
    checkpoint: AnyCheckpoint,
    bank: Mapping[str, VideoFeatures],
    manifest: Manifest,
    resamples: int = 0,
) -> Evaluation:
    """Measure a checkpoint on the test videos whose features are in the bank.

    Args:
        checkpoint: the trained detector.
        bank: features of the test videos.
        manifest: the data set.
        resamples: number of bootstrap resamples; 0 for no intervals.

    Raises:
        ValueError: the data set has other classes than the checkpoint, or no test video has
            features.
    """
    if checkpoint.coarse:
        manifest = _without_classes(manifest, checkpoint.classes)
    if tuple(manifest.classes) != checkpoint.classes:
        raise ValueError(
            f"the checkpoint has the classes {', '.join(checkpoint.classes)}, but the data set has "
            f"{', '.join(manifest.classes)}: evaluate on data with the checkpoint's classes"
        )
    videos = [video for video in manifest.of_split("test") if video.video_id in bank]
    if not videos:
        raise ValueError("no test video has features: preprocess the test split first")
    predictions = checkpoint.predict(whole_example(bank[video.video_id]) for video in videos)
    analyses = [
        checkpoint.compose(bank[video.video_id], prediction, video.video_id)
        for video, prediction in zip(videos, predictions, strict=True)
    ]
    data = checkpoint.config.data
    truth = locate_events(videos, bank, data.stride, data.stride_seconds)
    scored = score_videos(
        checkpoint,
        Manifest(manifest.classes, truth.counted),
        predictions,
        truth.unlocated,
        [_seconds(bank[video.video_id]) for video in videos],
    )
    summary = scored.summary()
    # Events without classes would have an mAP of their own, which compares with no other.
    detection = None if checkpoint.coarse else scored.detection()
    metrics: dict[str, Any] = {
        **{name: value for name, value in summary.items() if not name.startswith("map_")},
        "map": None if detection is None else _map_by_iou(detection),
        "map_per_class": None if detection is None else _map_by_class(detection),
        "frames_per_class": metrics_per_class(scored, resamples),
        "explanation_class_accuracy": _explanation_class_accuracy(analyses, videos),
        "random": scored.random_baseline().summary(),
        "confusion": scored.confusion(),
        "videos": len(videos),
        "beyond_the_end": truth.beyond,
        "explained": sum(analysis.explanation is not None for analysis in analyses),
    }
    if resamples:
        compute_metrics = ResampledMetrics(scored)
        metrics["intervals"] = bootstrap_intervals(compute_metrics, scored.abnormal, resamples)
    notes = truth.notes() if detection is None else [*truth.notes(), *_untested(manifest, videos)]
    return Evaluation(metrics, analyses, list(truth.videos), notes, list(truth.clocks))


def score_videos(
    checkpoint: AnyCheckpoint,
    manifest: Manifest,
    predictions: Sequence[Prediction],
    unlocated: frozenset[str] = frozenset(),
    seconds: Sequence[float] | None = None,
) -> Scored:
    """Put the predictions for test videos beside their ground truth.

    Args:
        checkpoint: the detector that made the predictions.
        manifest: the test videos.
        predictions: one per video, in the same order.
        unlocated: ids of the videos that only metrics of whole videos count.
        seconds: duration of each video; None if unknown.
    """
    branch = checkpoint.calibration.branch
    # Some benchmarks fix how many snippets of a video count.
    limits = [video.snippets for video in manifest.videos]
    pairs = list(zip(predictions, limits, strict=True))
    return Scored(
        manifest,
        [prediction.scores[branch][:limit] for prediction, limit in pairs],
        [prediction.probabilities_TC[:limit] for prediction, limit in pairs],
        np.array([prediction.video_score(branch) for prediction in predictions]),
        [manifest.classes[int(p.video_class_probabilities().argmax())] for p in predictions],
        checkpoint.config.data.stride,
        unlocated,
        seconds,
    )


def _without_classes(manifest: Manifest, classes: tuple[str, ...]) -> Manifest:
    """Return a data set in which all abnormal classes are one.

    Args:
        manifest: the data set.
        classes: the normal class and the other one.
    """
    normal, abnormal = classes

    def renamed(video: Video) -> Video:
        return replace(
            video,
            labels=(abnormal,) if video.abnormal else (normal,),
            events=tuple(
                event if event.label == normal else replace(event, label=abnormal)
                for event in video.events
            ),
            timed_events=tuple(
                event if event.label == normal else replace(event, label=abnormal)
                for event in video.timed_events
            ),
        )

    return Manifest(classes, tuple(map(renamed, manifest.videos)))


def _untested(manifest: Manifest, videos: Sequence[Video]) -> list[str]:
    """Say which abnormal classes no test video shows."""
    shown = {label for video in videos for label in video.labels}
    absent = [label for label in manifest.classes[1:] if label not in shown]
    if not absent:
        return []
    return [f"no test video shows {', '.join(absent)}, which counts 0 in mAP: label more videos"]


def _seconds(features: VideoFeatures) -> float:
    """Return the duration of a video; of frames that are divided by rate, the one at that rate."""
    return features.duration or features.num_frames / features.fps


def _map_by_iou(detection: Mapping[Protocol, DetectionMAP]) -> dict[str, dict[str, float]]:
    """Return protocol → IoU threshold or "average" → mAP in percent."""
    return {
        protocol: {**_with_text_keys(result.per_iou), "average": result.average}
        for protocol, result in detection.items()
    }


def _map_by_class(
    detection: Mapping[Protocol, DetectionMAP],
) -> dict[str, dict[str, dict[str, float]]]:
    """Return protocol → class → IoU threshold or "average" → average precision in percent."""
    return {
        protocol: {
            label: {**_with_text_keys(per_iou), "average": float(np.mean(list(per_iou.values())))}
            for label, per_iou in result.per_class.items()
        }
        for protocol, result in detection.items()
    }


def _with_text_keys(per_iou: Mapping[float, float]) -> dict[str, float]:
    return {f"{iou:.1f}": value for iou, value in per_iou.items()}


def _explanation_class_accuracy(
    analyses: Sequence[Analysis], videos: Sequence[Video]
) -> float | None:
    """Return the share of explanations that name a true class; None without explanations."""
    correct = [
        analysis.explanation.category in video.labels
        for analysis, video in zip(analyses, videos, strict=True)
        if analysis.explanation is not None
    ]
    return float(np.mean(correct)) if correct else None
