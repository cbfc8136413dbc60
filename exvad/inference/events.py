"""Events: from scores per snippet to intervals with a class and a confidence.

T snippets · C classes · A abnormal classes · R snippets of a run
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from exvad.results import DetectedEvent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.inference.calibration import Calibration

CLASS_EXTENT = 0.5  # an event extends over snippets with this share of its class's peak


def find_events(
    scores_T: NDArray[np.float32],
    probabilities_TC: NDArray[np.float32],
    times_T: NDArray[np.float64],
    duration: float,
    classes: Sequence[str],
    calibration: Calibration,
    caption_times: Sequence[float] = (),
    gaps: Sequence[tuple[float, float]] = (),
) -> list[DetectedEvent]:
    """Find the events of a video.

    Every run of snippets above the threshold gives one event; one snippet below it does not end a
    run, but a gap of the recording does. The class of the event is the abnormal class with the
    highest probability in the run. The event extends from the first to the last snippet of the run
    in which this class has at least half its peak: the text is the same for a whole video and may
    raise the anomaly score beyond the event, while the alignment map M is local.

    Args:
        scores_T: anomaly scores, 0 to 1.
        probabilities_TC: class probabilities softmax(M / τ).
        times_T: start of each snippet in seconds.
        duration: length of the video in seconds.
        classes: class names, the normal class first.
        calibration: the threshold, and the confidence of a score.
        caption_times: time of each caption in seconds.
        gaps: seconds at which nothing was recorded, from the last frame's end to the next frame, in
            order; of no length where only the clock jumps. No event extends over one.

    Returns:
        The events in temporal order.
    """
    ends_T = np.append(times_T[1:], max(duration, float(times_T[-1])))
    stops = set()
    for start, _ in gaps:
        snippet = int(np.searchsorted(times_T, start)) - 1
        # What is recorded of a snippet beyond a gap is not part of an event before it.
        if snippet >= 0:
            ends_T[snippet] = min(float(ends_T[snippet]), max(start, float(times_T[snippet])))
            stops.add(snippet + 1)
    events = []
    for run in _runs(scores_T > calibration.threshold, stops):
        abnormal_RA = probabilities_TC[run, 1:]
        column = int(abnormal_RA.max(0).argmax())
        peak = abnormal_RA[:, column].max()
        extent = np.flatnonzero(abnormal_RA[:, column] >= CLASS_EXTENT * peak)
        first, last = run.start + int(extent[0]), run.start + int(extent[-1])
        start, end = float(times_T[first]), float(ends_T[last])
        score = float(np.clip(scores_T[first : last + 1].mean(), 0, 1))
        events.append(
            DetectedEvent(
                start=start,
                end=end,
                label=classes[1 + column],
                score=score,
                confidence=calibration.confidence(score),
                captions=[
                    number for number, time in enumerate(caption_times, 1) if start <= time < end
                ],
            )
        )
    return events


def _runs(above_T: NDArray[np.bool_], stops: Collection[int]) -> list[slice]:
    """Return the runs of True; a single False between two True belongs to the run.

    Args:
        above_T: the values.
        stops: indices before which a run ends in any case.
    """
    parts = [0, *sorted(stop for stop in stops if stop < len(above_T)), len(above_T)]
    return [
        slice(start + run.start, start + run.stop)
        for start, stop in pairwise(parts)
        for run in _runs_of_part(above_T[start:stop])
    ]


def _runs_of_part(above_T: NDArray[np.bool_]) -> list[slice]:
    closed_T = above_T.copy()
    if len(above_T) > 2:
        closed_T[1:-1] |= above_T[:-2] & above_T[2:]
    steps = np.diff(np.concatenate([[0], closed_T.astype(np.int8), [0]]))
    edges = zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True)
    return [slice(int(start), int(stop)) for start, stop in edges]
