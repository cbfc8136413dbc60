"""Evaluation: the field's figures of a checkpoint on test videos, and the answers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.data.benchmarks import vadclip_events
from exvad.data.manifest import Manifest
from exvad.detector import compose
from exvad.inference import Prediction, predict
from exvad.metrics import Protocol, detection_map, frame_auc_ap
from exvad.training import make_example

if TYPE_CHECKING:
    from exvad.checkpoint import Checkpoint
    from exvad.data.features import FeatureBank
    from exvad.data.manifest import Video
    from exvad.results import Analysis


PROTOCOLS: tuple[Protocol, ...] = ("vadclip", "strict")


@dataclass(frozen=True)
class Evaluation:
    """Figures of a test set.

    Args:
        figures: frame_auc, frame_ap (0 to 1), map (percent, per protocol and IoU),
            class_accuracy, explanation_class_accuracy, confusion and counts.
        analyses: the answer about every test video.
        videos: what is true of them, in the same order.
    """

    figures: dict[str, Any]
    analyses: list[Analysis]
    videos: list[Video]


def evaluate(checkpoint: Checkpoint, bank: FeatureBank, manifest: Manifest) -> Evaluation:
    """Measure a checkpoint on the test videos whose features are in the bank.

    Raises:
        ValueError: the data set's classes are not the checkpoint's, or no test video is left.
    """
    classes = checkpoint.labels.classes
    if tuple(manifest.classes) != classes:
        raise ValueError(
            f"the checkpoint knows the classes {', '.join(classes)}, "
            f"the data set has {', '.join(manifest.classes)}"
        )
    videos = [video for video in manifest.of_split("test") if video.video_id in bank]
    if not videos:
        raise ValueError("no test video has features: preprocess the test split first")
    config = checkpoint.config
    examples = [
        make_example(bank[v.video_id], manifest.target(v), len(bank[v.video_id].visual))
        for v in videos
    ]
    predictions = predict(
        checkpoint.network,
        checkpoint.label_CD,
        examples,
        config.model.tau,
        config.model.max_snippets,
    )
    analyses = [
        compose(checkpoint, bank[video.video_id], prediction, [], video.video_id)
        for video, prediction in zip(videos, predictions, strict=True)
    ]
    stride = config.data.stride
    branch = checkpoint.calibration.branch
    figures = {
        **_frame_figures([p.scores[branch] for p in predictions], videos, stride),
        "map": _map_figures(predictions, videos, manifest, stride),
        **_class_figures(analyses, videos, classes),
        "videos": len(videos),
        "explained": sum(analysis.explanation is not None for analysis in analyses),
    }
    return Evaluation(figures, analyses, videos)


def _frame_figures(scores: list[Any], videos: Sequence[Video], stride: int) -> dict[str, float]:
    scores, lengths = _scored(scores, videos, stride)
    auc, ap = frame_auc_ap(scores, [v.frame_events() for v in videos], lengths, stride)
    return {"frame_auc": auc, "frame_ap": ap}


def _map_figures(
    predictions: Sequence[Prediction], videos: list[Video], manifest: Manifest, stride: int
) -> dict[str, dict[str, float]]:
    scores, lengths = _scored([p.probabilities_TC for p in predictions], videos, stride)
    frames = {video.video_id: length for video, length in zip(videos, lengths, strict=True)}
    shown = Manifest(manifest.classes, tuple(videos))
    events = {
        "vadclip": vadclip_events(shown, frames),
        "strict": [video.class_events() for video in videos],
    }
    figures: dict[str, dict[str, float]] = {}
    for protocol in PROTOCOLS:
        result = detection_map(scores, events[protocol], manifest.classes, protocol, stride)
        per_iou = {f"{iou:.1f}": value for iou, value in result.per_iou.items()}
        figures[protocol] = {**per_iou, "average": result.average}
    return figures


def _scored(scores: list[Any], videos: Sequence[Video], stride: int) -> tuple[list[Any], list[int]]:
    """Cut scores at the snippets a benchmark counts, where it fixes their number."""
    cut = [
        rows if video.snippets is None else rows[: video.snippets]
        for rows, video in zip(scores, videos, strict=True)
    ]
    lengths = [
        len(rows) * stride if video.snippets is not None else _frames(video, len(rows), stride)
        for rows, video in zip(cut, videos, strict=True)
    ]
    return cut, lengths


def _frames(video: Video, snippets: int, stride: int) -> int:
    return video.num_frames or snippets * stride


def _class_figures(
    analyses: Sequence[Analysis], videos: Sequence[Video], classes: Sequence[str]
) -> dict[str, Any]:
    number = {label: index for index, label in enumerate(classes)}
    confusion_CC = np.zeros((len(classes), len(classes)), dtype=int)
    right, named = 0, []
    for analysis, video in zip(analyses, videos, strict=True):
        right += analysis.label in video.labels
        confusion_CC[number[video.labels[0]], number[analysis.label]] += 1
        if analysis.explanation is not None:
            named.append(analysis.explanation.category in video.labels)
    return {
        "class_accuracy": right / len(videos),
        "explanation_class_accuracy": float(np.mean(named)) if named else None,
        "confusion": confusion_CC.tolist(),
    }
