"""An analysis, and a detector that needs no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from exvad.detector.detector import Examination, Listener
from exvad.results import Analysis, Caption, DetectedEvent, Explanation
from exvad.video.chunks import probe


def analysis(name: str, num_frames: int = 48, fps: float = 10) -> Analysis:
    snippets = -(-num_frames // 16)
    return Analysis(
        video=name,
        duration=num_frames / fps,
        num_frames=num_frames,
        fps=fps,
        classes=["Normal", "Arson", "RoadAccidents"],
        label="Arson",
        anomaly_score=0.9,
        threshold=0.5,
        times=[16 * n / fps for n in range(snippets)],
        scores=[0.1 if n == 0 else 0.9 for n in range(snippets)],
        probabilities=[[0.2, 0.7, 0.1]] * snippets,
        events=[
            DetectedEvent(
                start=1.6, end=3.2, label="Arson", score=0.9, confidence=0.8, captions=[1]
            )
        ],
        explanation=Explanation(
            anomalous=True, category="Arson", summary="a bin <burns>.", reason="fire.", evidence=[1]
        ),
        captions=[Caption(time=1.6, raw="a bin burns", text="a bin burns")],
        model="made",
    )


class MadeDetector:
    """Reads the file and answers the same about all of them."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.checkpoint = SimpleNamespace(
            name="made",
            labels=SimpleNamespace(classes=("Normal", "Arson", "RoadAccidents")),
            calibration=SimpleNamespace(threshold=0.5),
        )

    def examine(
        self,
        path: str | Path,
        categories: Mapping[str, Sequence[str]] | None = None,
        threshold: float | None = None,
        explain: bool = True,
        listener: Listener | None = None,
    ) -> Examination:
        told = listener or Listener()
        info = probe(path)
        if told.check is not None:
            told.check(info)
        self.seen.append(str(path))
        if told.progress is not None:
            told.progress(0.5)
            told.progress(1.0)
        found = analysis(Path(path).name, info.num_frames, info.fps)
        changed = {"untrained": list(categories or ()), "threshold": threshold or found.threshold}
        if not explain:
            changed |= {"explanation": None, "captions": []}
        if told.words is not None and explain:
            told.words("a bin")
        if told.scores is not None:
            told.scores(np.array(found.times), np.array(found.scores, np.float32))
        return Examination(found.model_copy(update=changed), {"decoding": 0.1})
