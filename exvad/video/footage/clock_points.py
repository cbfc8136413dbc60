"""The clock of a video in few points: a straight line between two of them is right to a frame.

A file of a constant rate has one point, its end. The store keeps the points, so that the jobs have
the clock that the detector reads from the file.

n frames · T snippets · k points
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE = 0.25  # frames


def clock_points(
    seconds_n: NDArray[np.float64],
    fps: float,
    duration: float,
    gaps: Sequence[tuple[float, float]],
    snippets_T: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the clock of a video as points.

    Args:
        seconds_n: time of each frame since the first one, increasing.
        fps: frames per second, on average, without the gaps.
        duration: seconds to the end of the last frame.
        gaps: see `exvad.video.survey.VideoInfo`.
        snippets_T: indices of the frames at which snippets begin.

    Returns:
        Frame and second of each point, [k, 2], in order. A gap has two points with one frame: the
        end of the last frame before it, and the beginning of the first one after it. The last point
        is the end of the video.
    """
    frames_n = np.arange(len(seconds_n))
    points = [np.array([[len(seconds_n), duration]])]
    after_gaps = []
    for start, end in gaps:
        # Where the clock was set the gap has no length, and times may differ by rounding.
        after = int(np.searchsorted(seconds_n, end - TOLERANCE / fps))
        points.append(np.array([[after, start], [after, end]]))
        after_gaps.append(after)
    if np.abs(seconds_n - frames_n / fps).max() > TOLERANCE / fps:
        known = np.setdiff1d(_frames_to_know(seconds_n, fps, snippets_T), after_gaps).astype(int)
        points.append(np.stack([known, seconds_n[known]], axis=1))
    joined_k2 = np.concatenate(points).astype(np.float64)
    order_k = np.lexsort((joined_k2[:, 1], joined_k2[:, 0]))
    in_order: NDArray[np.float64] = joined_k2[order_k]
    return in_order


def _frames_to_know(
    seconds_n: NDArray[np.float64], fps: float, snippets_T: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the first frames of the snippets, and all frames of those with an uneven rate."""
    frames_n = np.arange(len(seconds_n))
    after = frames_n - snippets_T[-1]
    even_n = np.interp(frames_n, snippets_T, seconds_n[snippets_T]) + after.clip(0) / fps
    snippet_n = np.searchsorted(snippets_T, frames_n, side="right") - 1
    is_uneven_n = np.abs(seconds_n - even_n) > TOLERANCE / fps
    is_known_n = np.isin(snippet_n, np.unique(snippet_n[is_uneven_n]))
    is_known_n[snippets_T] = True
    return np.flatnonzero(is_known_n)


def gaps_of(points_k2: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """Return the gaps among the points of a clock."""
    is_gap = points_k2[1:, 0] == points_k2[:-1, 0]
    return tuple(
        (float(start), float(end))
        for start, end in zip(points_k2[:-1, 1][is_gap], points_k2[1:, 1][is_gap], strict=True)
    )
