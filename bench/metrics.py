"""The metrics at the size of the benchmarks: AUC, AP and mAP at five IoUs on one core.

The test sets are drawn from a seed: smooth softmax curves as scores, and as many videos, frames and
classes as the test sets of UCF-Crime and XD-Violence have.

    python -m bench.metrics [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from dataclasses import dataclass

# One core. Numpy reads these variables when it is imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np
from numpy.typing import NDArray

from bench._harness import emit
from exvad.metrics import FrameEvent, Protocol, detection_map, frame_auc_ap

GOALS: dict[str, tuple[str, float]] = {"ucf_seconds": ("<", 1.0), "xd_seconds": ("<", 2.0)}
FRAMES_PER_SNIPPET = 16
SMOOTHING = 9


@dataclass(frozen=True)
class TestSet:
    """The inputs of the metrics.

    Args:
        classes: class names, the normal one first.
        scores: per video, float32 [T, C]; each row sums to 1.
        events: per video, (start frame, end frame, class).
    """

    classes: list[str]
    scores: list[NDArray[np.float32]]
    events: list[list[FrameEvent]]


def draw_test_set(
    videos: int, abnormal: int, frames: int, classes: int, normal_events: bool, seed: int
) -> TestSet:
    """Draw a test set.

    Args:
        videos: number of videos.
        abnormal: number of videos with one to three events; they come first.
        frames: number of frames of all videos, a multiple of 16 and at least 32 per video.
        classes: number of classes, the normal one included.
        normal_events: whether a normal video is one event of the normal class, as in XD-Violence.
        seed: seed of the draw.
    """
    rng = np.random.default_rng(seed)
    snippets = frames // FRAMES_PER_SNIPPET
    weights = rng.lognormal(sigma=0.8, size=videos)
    lengths = 2 + ((snippets - 2 * videos) * weights / weights.sum()).astype(int)
    lengths[: snippets - lengths.sum()] += 1
    names = ["Normal", *(f"class {number}" for number in range(1, classes))]
    kernel = np.hanning(SMOOTHING + 2)[1:-1, None]
    scores, events = [], []
    for index, length in enumerate(lengths.tolist()):
        noise = rng.normal(size=(length + SMOOTHING - 1, classes))
        logits = sum(kernel[k] * noise[k : k + length] for k in range(SMOOTHING))
        video_events: list[FrameEvent] = []
        if index < abnormal:
            kind = int(rng.integers(1, classes))
            for _ in range(rng.integers(1, 4)):
                first, last = np.sort(rng.choice(length * FRAMES_PER_SNIPPET, 2, replace=False))
                video_events.append((int(first), int(last), names[kind]))
                logits[first // FRAMES_PER_SNIPPET : last // FRAMES_PER_SNIPPET + 1, kind] += 2.0
        elif normal_events:
            video_events.append((0, length * FRAMES_PER_SNIPPET, names[0]))
        exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
        softmax = exponential / exponential.sum(axis=1, keepdims=True)
        scores.append(softmax.astype(np.float32))
        events.append(video_events)
    assert sum(map(len, scores)) * FRAMES_PER_SNIPPET == frames, "the frames do not add up"
    return TestSet(names, scores, events)


def measure(test: TestSet, protocol: Protocol) -> None:
    """Compute the metrics of a row of the paper's tables: AUC, AP and mAP at five IoUs."""
    normal = test.classes[0]
    abnormal = [[event for event in events if event[2] != normal] for events in test.events]
    frame_auc_ap([1 - rows_TC[:, 0] for rows_TC in test.scores], abnormal)
    detection_map(test.scores, test.events, test.classes, protocol, FRAMES_PER_SNIPPET)


def median_seconds(name: str, test: TestSet, protocol: Protocol, rounds: int) -> float:
    """Return the median seconds of a few repetitions, after one as warm-up."""
    measure(test, protocol)
    seconds = []
    for index in range(rounds):
        start = time.perf_counter()
        measure(test, protocol)
        seconds.append(time.perf_counter() - start)
        print(f"{name} {protocol} {index + 1}/{rounds}: {seconds[-1]:.3f} s", file=sys.stderr)
    return statistics.median(seconds)


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    rounds = 3 if parser.parse_args().quick else 9
    sets = {
        "ucf": draw_test_set(290, 140, 1_109_888, 14, normal_events=False, seed=0),
        "xd": draw_test_set(800, 500, 2_331_296, 7, normal_events=True, seed=1),
    }
    metrics: dict[str, float] = {}
    for name, test in sets.items():
        metrics[f"{name}_seconds"] = median_seconds(name, test, "vadclip", rounds)
        metrics[f"{name}_strict_seconds"] = median_seconds(name, test, "strict", rounds)
    emit("metrics", metrics, GOALS)


if __name__ == "__main__":
    main()
