"""The ten crops of a frame, as in the field's data sets of features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARE = 7 / 8  # 224 of 256 pixels, as is usual in the field
_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def crop_frames(frames_NHWC: NDArray[np.uint8], crop: int) -> NDArray[np.uint8]:
    """Return one crop of every frame.

    Args:
        frames_NHWC: uint8 [N, H, W, 3].
        crop: 0 is the whole frame, the centre of which the encoder takes, and the crop that the
            detector uses; 1 to 4 are squares in the corners (top left, top right, bottom left,
            bottom right), 7/8 of the shorter side long; 5 to 9 are 0 to 4 mirrored.

    Returns:
        The crops, uint8 [N, H', W', 3].

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
    is_bottom, is_right = _CORNERS[crop - 1]
    top, left = is_bottom * (height - side), is_right * (width - side)
    return frames_NHWC[:, top : top + side, left : left + side]
