"""The five or ten views of a frame that data sets of features come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARE = 7 / 8  # 224 of 256 pixels, as everywhere in the field
_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def crop_frames(frames_NHWC: NDArray[np.uint8], crop: int) -> NDArray[np.uint8]:
    """Return one view of frames.

    Args:
        frames_NHWC: uint8 [N, H, W, 3].
        crop: 0 is the whole frame, of which the encoder takes the middle, and what the detector
            sees; 1 to 4 are squares in its corners (top left, top right, bottom left, bottom
            right), 7/8 of the shorter side long; 5 to 9 are 0 to 4 mirrored.

    Raises:
        ValueError: there is no such crop.
    """
    if not 0 <= crop < 10:
        raise ValueError(f"crop {crop}: a frame has the crops 0 to 9")
    if crop >= 5:
        return np.ascontiguousarray(crop_frames(frames_NHWC, crop - 5)[:, :, ::-1])
    if crop == 0:
        return frames_NHWC
    height, width = frames_NHWC.shape[1:3]
    side = max(1, round(SHARE * min(height, width)))
    down, right = _CORNERS[crop - 1]
    top, left = down * (height - side), right * (width - side)
    return frames_NHWC[:, top : top + side, left : left + side]
