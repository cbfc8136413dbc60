"""Compose the analysis of a video: when something abnormal happens, what kind, and why.

T snippets · C classes
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.inference.events import find_events
from exvad.results import Analysis, Caption, DetectedEvent, Explanation
from exvad.results.disagreement import describe_disagreement

if TYPE_CHECKING:
    from exvad.inference.calibration import Calibration
    from exvad.inference.prediction import Prediction
    from exvad.results import DomainCheck
    from exvad.store.feature_bank import VideoFeatures


def compose_analysis(
    features: VideoFeatures,
    prediction: Prediction,
    calibration: Calibration,
    classes: Sequence[str],
    *,
    video: str,
    model: str,
    problems: Sequence[str] = (),
    domain: DomainCheck | None = None,
) -> Analysis:
    """Compose the analysis of one video.

    Args:
        features: of the video, with its captions and explanation if there are any.
        prediction: of the network.
        calibration: branch, threshold and confidence.
        classes: class names, the normal class first.
        video: name of the video in the analysis.
        model: name of the checkpoint in the analysis.
        problems: what could not be decoded.
        domain: whether the video is like those of the training; None where nothing was trained.
    """
    scores_T = prediction.scores[calibration.branch]
    caption_times = _caption_times(features)
    cleaned = features.cleaned_captions or features.captions
    captions = [
        Caption(time=max(time, 0.0), raw=raw, text=text)
        for time, raw, text in zip(caption_times, features.captions, cleaned, strict=True)
    ]
    found = video_events(features, prediction, calibration, classes)
    weight = 1.0 if domain is None else domain.confidence_weight
    events = [event.model_copy(update={"confidence": event.confidence * weight}) for event in found]
    record = _choose_record(features, events, caption_times)
    analysis = Analysis(
        video=video,
        domain=domain,
        duration=_duration(features),
        lead=features.lead,
        num_frames=features.num_frames,
        fps=features.fps,
        classes=list(classes),
        label=video_label(events, prediction, classes),
        anomaly_score=float(np.clip(prediction.video_score(calibration.branch), 0, 1)),
        threshold=calibration.threshold,
        times=[float(time) for time in features.times],
        scores=[float(score) for score in np.clip(scores_T, 0, 1)],
        probabilities=prediction.probabilities_TC.astype(float).round(6).tolist(),
        events=events,
        explanation=None if record is None else Explanation.model_validate(record),
        captions=captions,
        problems=list(problems),
        model=model,
    )
    return analysis.model_copy(update={"disagreement": describe_disagreement(analysis)})


def video_events(
    features: VideoFeatures,
    prediction: Prediction,
    calibration: Calibration,
    classes: Sequence[str],
) -> list[DetectedEvent]:
    """Return the events of a video; see `compose_analysis`, without the weight of the domain."""
    return find_events(
        prediction.scores[calibration.branch],
        prediction.probabilities_TC,
        features.times,
        _duration(features),
        classes,
        calibration,
        _caption_times(features),
        features.gaps,
    )


def video_label(
    events: Sequence[DetectedEvent], prediction: Prediction, classes: Sequence[str]
) -> str:
    """Return the class of a video: of its events, so that the two never contradict each other.

    Args:
        events: the events of the video; without any, all classes are possible.
        prediction: of the network.
        classes: class names, the normal class first.
    """
    probabilities = prediction.video_class_probabilities().tolist()
    probability_of = dict(zip(classes, probabilities, strict=True))
    event_labels = {event.label for event in events}
    candidates = [name for name in classes if name in event_labels] or classes
    return max(candidates, key=probability_of.__getitem__)


def _caption_times(features: VideoFeatures) -> list[float]:
    return [float(features.times[snippet]) for snippet in features.caption_snippets]


def _duration(features: VideoFeatures) -> float:
    """Return the seconds of a video, which reach at least to its last snippet."""
    duration = features.duration or features.num_frames / features.fps
    return max(duration, float(features.times[-1]))


def _choose_record(
    features: VideoFeatures, events: Sequence[DetectedEvent], caption_times: Sequence[float]
) -> dict[str, Any] | None:
    """Return the record that says why: of the strongest event's segment, or of the whole video.

    The event lies in the segment of the caption nearest to its middle.
    """
    if not events or not features.segment_ends:
        return features.record
    event = max(events, key=lambda event: (event.score, -event.start))
    middle = (event.start + event.end) / 2
    nearest = min(range(len(caption_times)), key=lambda index: abs(caption_times[index] - middle))
    return features.segment_records[bisect_right(features.segment_ends, nearest)]
