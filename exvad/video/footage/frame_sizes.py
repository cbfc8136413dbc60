"""Frames of one size from a video whose size may change: most of them decide.

The first frame of a recording may be a small one, such as a test picture, or the end of what was
recorded before a camera was set up anew.

t snippets of a chunk · H, W pixels · C colours
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from av.video.reformatter import VideoReformatter
    from numpy.typing import NDArray

Allocate = Callable[[tuple[int, ...]], "NDArray[np.uint8]"]

_MAX_KEPT_BYTES = 2**28  # of frames of other sizes; further ones are scaled at once


class FrameSizes:
    """Collects the frames of a chunk in one array.

    Args:
        count: snippets of the chunk.
        allocate: returns an array of a shape, which may begin where an earlier one does.
        reformatter: scales the frames.
    """

    def __init__(self, count: int, allocate: Allocate, reformatter: VideoReformatter) -> None:
        self.is_decoded = np.zeros(count, bool)
        self._allocate, self._reformatter = allocate, reformatter
        self._frames_tHWC: NDArray[np.uint8] | None = None
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._kept_bytes = 0
        self._size_of: dict[int, tuple[int, int]] = {}

    def clear(self) -> None:
        """Forget all frames, to decode them another way."""
        self.is_decoded[:] = False
        self._kept, self._kept_bytes, self._size_of = {}, 0, {}

    def add(self, snippet: int, frame_HWC: NDArray[np.uint8]) -> None:
        """Take the frame of a snippet.

        Args:
            snippet: index of the snippet in the chunk.
            frame_HWC: its frame as shown, in RGB.
        """
        height, width = frame_HWC.shape[:2]
        if self._frames_tHWC is None:
            self._frames_tHWC = self._allocate((len(self.is_decoded), *frame_HWC.shape))
        self.is_decoded[snippet] = True
        self._size_of[snippet] = height, width
        is_other = self._frames_tHWC.shape[1:3] != (height, width)
        if is_other and self._kept_bytes + frame_HWC.nbytes <= _MAX_KEPT_BYTES:
            self._kept[snippet] = frame_HWC
            self._kept_bytes += frame_HWC.nbytes
        else:
            self._frames_tHWC[snippet] = self._scale(frame_HWC, self._frames_tHWC)

    def join(self) -> tuple[NDArray[np.uint8] | None, list[str]]:
        """Return the frames, [t, H, W, 3], all of the size of most, and notes; None without any.

        Of sizes that are as frequent, the largest counts.
        """
        counts = Counter(self._size_of.values())
        if self._frames_tHWC is None or not counts:
            return None, []
        size = max(counts, key=lambda size: (counts[size], size[0] * size[1]))
        if size != self._frames_tHWC.shape[1:3]:
            self._change_size(size)
        for snippet, frame_HWC in self._kept.items():
            self._frames_tHWC[snippet] = self._scale(frame_HWC, self._frames_tHWC)
        height, width = self._frames_tHWC.shape[1:3]
        others = len(self._size_of) - counts[height, width]
        if not others:
            return self._frames_tHWC, []
        is_most = size == (height, width)
        reason = "of most of them" if is_most else "of the first one, as memory is short"
        return self._frames_tHWC, [
            f"the size of the picture changes; {others} of {len(self._size_of)} frames are scaled "
            f"to that {reason}, {width}×{height}"
        ]

    def _change_size(self, size: tuple[int, int]) -> None:
        assert self._frames_tHWC is not None
        try:
            # The new array may lie where this one is.
            earlier = {
                snippet: self._frames_tHWC[snippet].copy()
                for snippet in self._size_of
                if snippet not in self._kept
            }
            self._frames_tHWC = self._allocate((len(self.is_decoded), *size, 3))
        except MemoryError:
            return  # the size of the first frame fits
        self._kept |= earlier

    def _scale(
        self, frame_HWC: NDArray[np.uint8], frames_tHWC: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Return a frame in the size of others."""
        height, width = frames_tHWC.shape[1:3]
        if frame_HWC.shape[:2] == (height, width):
            return frame_HWC
        import av

        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame_HWC), format="rgb24")
        scaled = self._reformatter.reformat(frame, width=width, height=height, interpolation="AREA")
        return np.asarray(scaled.to_ndarray(), np.uint8)
