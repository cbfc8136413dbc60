"""TODO"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from exvad.inference.calibration import Calibration
from exvad.results import DetectedEvent

if TYPE_CHECKING:
    from numpy.typing import NDArray

HALF = 0.5


def find_events(
    scores_T: NDArray[np.float32],
    probabilities_TC: NDArray[np.float32],
    times_T: NDArray[np.float64],
    duration: float,
    classes: Sequence[str],
    calibration: Calibration,
    caption_times: Sequence[float] = (),
) -> list[DetectedEvent]:
    """Turn scores into events: where the coarse score is high, as far as the class reaches.

    A run of snippets above the threshold is one event. It takes the abnormal class of the highest
    alignment in it, and reaches from the first to the last snippet where that class has at least
    half its peak: the text is one for the whole video and may lift the coarse score beyond the
    event's ends, the alignment map M is local. A gap of one snippet does not part a run.

    Args:
        scores_T: coarse scores.
        probabilities_TC: class probabilities, softmax(M / τ).
        times_T: start of each snippet in seconds.
        duration: length of the video in seconds.
        classes: class names, the normal one first.
        calibration: the threshold, and how scores become confidence.
        caption_times: seconds of the captions, to say which lie inside an event.
    """
    ends_T = np.append(times_T[1:], max(duration, float(times_T[-1])))
    events = []
    for run in _runs(scores_T > calibration.threshold):
        abnormal_TA = probabilities_TC[run, 1:]
        best = int(abnormal_TA.max(0).argmax())
        aligned = np.flatnonzero(abnormal_TA[:, best] >= HALF * abnormal_TA[:, best].max())
        first, last = run.start + int(aligned[0]), run.start + int(aligned[-1])
        start, end = float(times_T[first]), float(ends_T[last])
        inside = [n for n, time in enumerate(caption_times, 1) if start <= time < end]
        score = float(np.clip(scores_T[first : last + 1].mean(), 0, 1))
        events.append(
            DetectedEvent(
                start=start,
                end=end,
                label=classes[1 + best],
                score=score,
                confidence=calibration.confidence(score),
                captions=inside,
            )
        )
    return events


def _runs(marked_T: NDArray[np.bool_]) -> list[slice]:
    """Return the runs of marked snippets; a single unmarked one between two does not part them."""
    closed_T = marked_T.copy()
    if len(marked_T) > 2:
        closed_T[1:-1] |= marked_T[:-2] & marked_T[2:]
    steps = np.diff(np.concatenate([[0], closed_T.astype(np.int8), [0]]))
    edges = zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True)
    return [slice(int(start), int(stop)) for start, stop in edges]
