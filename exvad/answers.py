"""From the network's word on a video to the answer: when, what kind, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from exvad.inference import Prediction, find_events, predict
from exvad.results import Analysis, Caption, Explanation
from exvad.training import make_example

if TYPE_CHECKING:
    from exvad.checkpoint import Checkpoint
    from exvad.data.features import VideoFeatures


def analyze_features(
    checkpoint: Checkpoint, features: VideoFeatures, problems: Sequence[str], name: str
) -> Analysis:
    """Answer about a video whose features are known.

    Args:
        checkpoint: the trained detector.
        features: of the video, with the text the checkpoint was trained on.
        problems: what could not be read.
        name: how the answer calls the video.
    """
    config = checkpoint.config
    blank_C = np.zeros(len(checkpoint.labels.classes), np.float32)
    example = make_example(features, blank_C, max_snippets=len(features.visual))
    prediction = predict(
        checkpoint.network,
        checkpoint.label_CD,
        [example],
        config.model.tau,
        config.model.max_snippets,
    )[0]
    return compose(checkpoint, features, prediction, problems, name)


def compose(
    checkpoint: Checkpoint,
    features: VideoFeatures,
    prediction: Prediction,
    problems: Sequence[str],
    name: str,
) -> Analysis:
    """Put together what is known of a video into the answer."""
    calibration, classes = checkpoint.calibration, checkpoint.labels.classes
    scores_T = prediction.scores[calibration.branch]
    times = [float(features.times[snippet]) for snippet in features.caption_snippets]
    duration = max(features.num_frames / features.fps, float(features.times[-1]))
    cleaned = features.cleaned_captions or features.captions
    captions = [
        Caption(time=max(time, 0.0), raw=raw, text=text)
        for time, raw, text in zip(times, features.captions, cleaned, strict=True)
    ]
    explanation = None
    if features.record is not None:
        explanation = Explanation.model_validate(features.record)
    events = find_events(
        scores_T, prediction.probabilities_TC, features.times, duration, classes, calibration, times
    )
    shares = dict(zip(classes, prediction.video_probabilities().tolist(), strict=True))
    found = {event.label for event in events}
    return Analysis(
        video=name,
        duration=duration,
        num_frames=features.num_frames,
        fps=features.fps,
        classes=list(classes),
        # The class of the whole video does not contradict what was found in it.
        label=max([name for name in classes if name in found] or classes, key=shares.__getitem__),
        anomaly_score=float(np.clip(prediction.video_score(calibration.branch), 0, 1)),
        threshold=calibration.threshold,
        times=[float(time) for time in features.times],
        scores=[float(score) for score in np.clip(scores_T, 0, 1)],
        probabilities=prediction.probabilities_TC.astype(float).round(6).tolist(),
        events=events,
        explanation=explanation,
        captions=captions,
        problems=list(problems),
        model=checkpoint.name,
    )
