"""Scored test sets with noisy predictions."""

from __future__ import annotations

import numpy as np

from exvad.data.manifest import Manifest
from exvad.data.records import Event, Video
from exvad.evaluation.scored import Scored

CLASSES = ("Normal", "Fighting", "Arson", "Robbery")
NUM_VIDEOS = 24


def make_scored(seed: int, timed: bool = True) -> Scored:
    """Return noisy scores of 24 videos; half of them are normal, one has events of two classes.

    Args:
        seed: seed of the random numbers.
        timed: whether the times of events are known.
    """
    rng = np.random.default_rng(seed)
    videos, scores, probabilities = [], [], []
    for index in range(NUM_VIDEOS):
        length = int(rng.integers(3, 40))
        events: list[Event] = []
        logits_TC = rng.normal(size=(length, len(CLASSES)))
        columns = [] if index % 2 else [1 + index // 2 % 3]
        for column in [*columns, 1] if index == 4 else columns:
            start, end = np.sort(rng.choice(length * 16, 2, replace=False)).tolist()
            events.append(Event(start, end, CLASSES[column]))
            logits_TC[start // 16 : end // 16 + 1, column] += 2
        labels = tuple(dict.fromkeys(event.label for event in events)) or ("Normal",)
        num_frames = length * 16 - int(rng.integers(0, 16))
        known_events = tuple(events) if timed else ()
        videos.append(Video(f"v{index}", "x.mp4", "test", labels, known_events, num_frames, 30))
        exp_TC = np.exp(logits_TC)
        probabilities.append((exp_TC / exp_TC.sum(1, keepdims=True)).astype(np.float32))
        scores.append(1 - probabilities[-1][:, 0])
    predicted = [CLASSES[int(rows_TC.mean(0).argmax())] for rows_TC in probabilities]
    video_scores_N = np.array([scores_T.max() for scores_T in scores], np.float64)
    manifest = Manifest(CLASSES, tuple(videos))
    seconds = [float(video.num_frames or 0) / 30 for video in videos]
    return Scored(manifest, scores, probabilities, video_scores_N, predicted, 16, seconds=seconds)
