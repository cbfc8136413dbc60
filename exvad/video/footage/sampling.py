"""Which frames of a video are snippets: every n-th, or one in every so many seconds.

n frames of the video
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDING = 1e-3  # seconds by which containers round the time of a frame


@dataclass(frozen=True)
class Sampling:
    """How a video is split into snippets, each of which is represented by its first frame.

    Args:
        stride: frames from one snippet to the next, at least 1.
        seconds: duration of a snippet, in place of `stride`; 0 to count frames. A video with fewer
            frames than that has one snippet per frame, and where nothing was recorded there are
            none.

    Raises:
        ValueError: a value is out of range.
    """

    stride: int = 16
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.stride < 1 or not 0 <= self.seconds < math.inf:
            raise ValueError(
                f"a snippet of {self.stride} frames or {self.seconds} seconds: give at least 1 "
                "frame, or more than 0 seconds"
            )

    def choose(self, seconds_n: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the indices of the frames that are the first ones of their snippets.

        Args:
            seconds_n: time of each frame since the first one, increasing.
        """
        if not self.seconds:
            return np.arange(0, len(seconds_n), self.stride)
        snippet_n = np.floor((seconds_n + _ROUNDING) / self.seconds)
        return np.flatnonzero(np.diff(snippet_n, prepend=-1.0) > 0)

    def snippet_of(self, index: int, seconds: float) -> int:
        """Return the number of the snippet that a frame lies in, for frames as they arrive.

        Args:
            index: index of the frame.
            seconds: its time since the first frame.
        """
        if not self.seconds:
            return index // self.stride
        return math.floor((seconds + _ROUNDING) / self.seconds)
