"""The metrics at the size of the benchmarks: AUC, AP and mAP at five IoUs on one core.

Scores are smooth softmax curves and events are drawn from a seed, as many videos, frames and
classes as the test sets of UCF-Crime and XD-Violence have.

    python bench/metrics.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from dataclasses import dataclass

# One core; read when numpy is imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np
from _harness import emit  # type: ignore[import-not-found]
from numpy.typing import NDArray

from exvad.metrics import FrameEvent, Protocol, detection_map, frame_auc_ap

GOALS: dict[str, tuple[str, float]] = {"ucf_seconds": ("<", 1.0), "xd_seconds": ("<", 2.0)}
FRAMES_PER_SNIPPET = 16
SMOOTHING = 9


@dataclass(frozen=True)
class TestSet:
    """What a test set gives the metrics.

    Args:
        classes: names, the normal class first.
        scores: float32 [T, C] per video, rows summing to 1.
        events: (start frame, end frame, class) per video.
    """

    classes: list[str]
    scores: list[NDArray[np.float32]]
    events: list[list[FrameEvent]]


def draw_test_set(
    videos: int, abnormal: int, frames: int, classes: int, normal_events: bool, seed: int
) -> TestSet:
    """Draw a test set of exactly so many videos and frames.

    Args:
        videos: how many.
        abnormal: how many of them, the first ones, have one to three events.
        frames: of all videos together, a multiple of 16 · videos or more.
        classes: how many, the normal one included.
        normal_events: whether a normal video is one event of the normal class, as XD-Violence has.
        seed: of everything drawn.
    """
    rng = np.random.default_rng(seed)
    snippets = frames // FRAMES_PER_SNIPPET
    weights = rng.lognormal(sigma=0.8, size=videos)
    lengths = 2 + ((snippets - 2 * videos) * weights / weights.sum()).astype(int)
    lengths[: snippets - lengths.sum()] += 1
    names = ["Normal", *(f"class {number}" for number in range(1, classes))]
    kernel = np.hanning(SMOOTHING + 2)[1:-1, None]
    scores, events = [], []
    for number, length in enumerate(lengths.tolist()):
        noise = rng.normal(size=(length + SMOOTHING - 1, classes))
        logits = sum(kernel[k] * noise[k : k + length] for k in range(SMOOTHING))
        own: list[FrameEvent] = []
        if number < abnormal:
            kind = int(rng.integers(1, classes))
            for _ in range(rng.integers(1, 4)):
                first, last = np.sort(rng.choice(length * FRAMES_PER_SNIPPET, 2, replace=False))
                own.append((int(first), int(last), names[kind]))
                logits[first // FRAMES_PER_SNIPPET : last // FRAMES_PER_SNIPPET + 1, kind] += 2.0
        elif normal_events:
            own.append((0, length * FRAMES_PER_SNIPPET, names[0]))
        shown = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores.append((shown / shown.sum(axis=1, keepdims=True)).astype(np.float32))
        events.append(own)
    assert sum(map(len, scores)) * FRAMES_PER_SNIPPET == frames, "the frames do not add up"
    return TestSet(names, scores, events)


def measure(test: TestSet, protocol: Protocol) -> None:
    """Compute what a table's row holds: AUC, AP and mAP at five IoUs."""
    abnormal = [[event for event in own if event[2] != test.classes[0]] for own in test.events]
    frame_auc_ap([1 - rows_TC[:, 0] for rows_TC in test.scores], abnormal)
    detection_map(test.scores, test.events, test.classes, protocol, FRAMES_PER_SNIPPET)


def median_seconds(name: str, test: TestSet, protocol: Protocol, rounds: int) -> float:
    """Return the median time of a few measurements, after one to warm up."""
    measure(test, protocol)
    seconds = []
    for number in range(rounds):
        start = time.perf_counter()
        measure(test, protocol)
        seconds.append(time.perf_counter() - start)
        print(f"{name} {protocol} {number + 1}/{rounds}: {seconds[-1]:.3f} s", file=sys.stderr)
    return statistics.median(seconds)


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    rounds = 3 if parser.parse_args().quick else 9
    sets = {
        "ucf": draw_test_set(290, 140, 1_109_888, 14, normal_events=False, seed=0),
        "xd": draw_test_set(800, 500, 2_331_296, 7, normal_events=True, seed=1),
    }
    figures: dict[str, float] = {}
    for name, test in sets.items():
        figures[f"{name}_seconds"] = median_seconds(name, test, "vadclip", rounds)
        figures[f"{name}_strict_seconds"] = median_seconds(name, test, "strict", rounds)
    emit("metrics", figures, GOALS)


if __name__ == "__main__":
    main()
