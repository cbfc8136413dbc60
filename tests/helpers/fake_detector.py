"""A detector without models, which returns the same analysis for every video."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from exvad.detector.detector import AnalysisCallbacks, TimedAnalysis
from exvad.results import Analysis, Caption, DetectedEvent, Explanation
from exvad.video.survey import probe

CLASSES = ("Normal", "Arson", "RoadAccidents")


def make_analysis(name: str, num_frames: int = 48, fps: float = 10) -> Analysis:
    """Make an analysis with one event, one caption and an explanation.

    Args:
        name: file name of the video.
        num_frames: number of frames of the video.
        fps: frames per second.
    """
    num_snippets = -(-num_frames // 16)
    return Analysis(
        video=name,
        duration=num_frames / fps,
        num_frames=num_frames,
        fps=fps,
        classes=list(CLASSES),
        label="Arson",
        anomaly_score=0.9,
        threshold=0.5,
        times=[16 * snippet / fps for snippet in range(num_snippets)],
        scores=[0.1 if snippet == 0 else 0.9 for snippet in range(num_snippets)],
        probabilities=[[0.2, 0.7, 0.1]] * num_snippets,
        events=[
            DetectedEvent(
                start=1.6, end=3.2, label="Arson", score=0.9, confidence=0.8, captions=[1]
            )
        ],
        explanation=Explanation(
            anomalous=True, category="Arson", summary="a bin <burns>.", reason="fire.", evidence=[1]
        ),
        captions=[Caption(time=1.6, raw="a bin burns", text="a bin burns")],
        model="fake",
    )


class FakeDetector:
    """A detector that opens each video and returns the analysis of `make_analysis`."""

    def __init__(self) -> None:
        self.checkpoint = SimpleNamespace(
            name="fake",
            classes=CLASSES,
            calibration=SimpleNamespace(threshold=0.5),
        )

    def analyze_timed(self, path: str | Path, *arguments: Any) -> TimedAnalysis:
        """Analyze a video; the arguments are those of `Detector.analyze_timed`."""
        categories, threshold, explain, callbacks, _ = arguments
        callbacks = callbacks or AnalysisCallbacks()
        info = probe(path)
        if callbacks.check_video is not None:
            callbacks.check_video(info)
        if callbacks.on_progress is not None:
            callbacks.on_progress(0.5)
            callbacks.on_progress(1.0)
        analysis = make_analysis(Path(path).name, info.num_frames, info.fps)
        update = {
            "untrained": list(categories or ()),
            "threshold": threshold or analysis.threshold,
            "lead": info.lead,
        }
        if not explain:
            update |= {"explanation": None, "captions": []}
        if callbacks.on_text is not None and explain:
            callbacks.on_text("a bin")
        if callbacks.on_scores is not None:
            callbacks.on_scores(np.array(analysis.times), np.array(analysis.scores, np.float32))
        return TimedAnalysis(analysis.model_copy(update=update), {"decoding": 0.1})
