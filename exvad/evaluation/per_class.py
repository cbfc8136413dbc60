"""Frame metrics of each abnormal class: on its videos and all normal ones, with intervals.

N videos
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.evaluation.bootstrap import bootstrap_intervals
from exvad.evaluation.resampled_frames import ResampledFrames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.evaluation.scored import Scored

# Every class resamples nearly the whole test set, so many classes would take minutes.
MAX_RESAMPLES = 200


def metrics_per_class(scored: Scored, resamples: int = 0) -> dict[str, dict[str, Any]] | None:
    """Compute frame metrics of each class from its own and all normal videos.

    Metrics over abnormal videos (`frame_auc_abnormal`, `frame_ap_abnormal`) are those of the
    class's videos alone. A video with several classes counts in each of them, with all its events.

    Args:
        scored: the test set.
        resamples: number of bootstrap resamples, of which at most 200 are drawn; 0 for no
            intervals.

    Returns:
        Class → `videos`, the metrics of `ResampledFrames`, and `intervals` (metric → low, high);
        only classes with videos. None where event times are unknown.
    """
    if not scored.events_known:
        return None
    frames = ResampledFrames(scored)
    normal_N = ~scored.abnormal
    result: dict[str, dict[str, Any]] = {}
    for label in scored.manifest.classes[1:]:
        of_class_N = np.array([label in video.labels for video in scored.videos])
        if not of_class_N.any():
            continue
        metrics: dict[str, Any] = {"videos": int(of_class_N.sum())}
        metrics |= frames((of_class_N | normal_N).astype(np.int64))
        if resamples:
            metrics["intervals"] = _intervals(frames, of_class_N, normal_N, resamples)
        result[label] = metrics
    return result


def _intervals(
    frames: ResampledFrames,
    of_class_N: NDArray[np.bool_],
    normal_N: NDArray[np.bool_],
    resamples: int,
) -> dict[str, tuple[float, float]]:
    drawn = np.flatnonzero(of_class_N | normal_N)

    def compute_metrics(chosen: NDArray[np.intp]) -> dict[str, float | None]:
        return frames(np.bincount(drawn[chosen], minlength=len(of_class_N)))

    return bootstrap_intervals(compute_metrics, of_class_N[drawn], min(resamples, MAX_RESAMPLES))
