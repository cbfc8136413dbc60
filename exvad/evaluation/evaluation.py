"""Evaluation: a checkpoint, features and a manifest → figures, answers and what is true.

N videos · T snippets · C classes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.data.manifest import Manifest
from exvad.evaluation.bootstrap import intervals
from exvad.evaluation.redraws import Redraws
from exvad.evaluation.scored import Scored
from exvad.store.examples import whole_example

if TYPE_CHECKING:
    from exvad.checkpoints.checkpoint import Checkpoint
    from exvad.data.records import Video
    from exvad.results import Analysis
    from exvad.store.feature_bank import FeatureBank


@dataclass(frozen=True)
class Evaluation:
    """Figures of a test set.

    Args:
        figures: frame_auc, frame_ap, the same over abnormal videos, video_auc (0 to 1), map and
            map_per_class (percent), class_accuracy, explanation_class_accuracy, intervals
            (bootstrap, 95 %), random, confusion and counts.
        analyses: the answer about every test video.
        videos: what is true of them, in the same order.
    """

    figures: dict[str, Any]
    analyses: list[Analysis]
    videos: list[Video]


def evaluate(
    checkpoint: Checkpoint, bank: FeatureBank, manifest: Manifest, resamples: int = 0
) -> Evaluation:
    """Measure a checkpoint on the test videos whose features are in the bank.

    Args:
        checkpoint: the trained detector.
        bank: features of the test videos.
        manifest: the data set.
        resamples: draws of the bootstrap; 0 for no intervals.

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
    predictions = checkpoint.predict(whole_example(bank[video.video_id]) for video in videos)
    analyses = [
        checkpoint.compose(bank[video.video_id], prediction, video.video_id)
        for video, prediction in zip(videos, predictions, strict=True)
    ]
    branch = checkpoint.calibration.branch
    # Some benchmarks fix how many snippets of a video count.
    scored = Scored(
        Manifest(manifest.classes, tuple(videos)),
        [p.scores[branch][: v.snippets] for p, v in zip(predictions, videos, strict=True)],
        [p.probabilities_TC[: v.snippets] for p, v in zip(predictions, videos, strict=True)],
        np.array([p.video_score(branch) for p in predictions]),
        [manifest.classes[int(p.video_probabilities().argmax())] for p in predictions],
        config.data.stride,
    )
    detection = scored.detection()
    headline = scored.headline()
    figures: dict[str, Any] = {
        **{name: value for name, value in headline.items() if not name.startswith("map_")},
        "map": None if detection is None else detection[0],
        "map_per_class": None if detection is None else detection[1],
        "explanation_class_accuracy": _explained_rightly(analyses, videos),
        "random": scored.random_baseline().headline(),
        "confusion": scored.confusion(),
        "videos": len(videos),
        "explained": sum(analysis.explanation is not None for analysis in analyses),
    }
    if resamples:
        figures["intervals"] = intervals(Redraws(scored), scored.abnormal, resamples)
    return Evaluation(figures, analyses, videos)


def _explained_rightly(analyses: Sequence[Analysis], videos: Sequence[Video]) -> float | None:
    named = [
        analysis.explanation.category in video.labels
        for analysis, video in zip(analyses, videos, strict=True)
        if analysis.explanation is not None
    ]
    return float(np.mean(named)) if named else None
