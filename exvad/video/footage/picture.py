"""From a decoded frame to the picture that a player shows: upright, square pixels, RGB.

H, W pixels
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

MAX_SQUEEZE = 16.0  # a sample aspect ratio beyond it, or below its inverse, is a damaged header
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_BT709 = 1  # SWS_CS_ITU709
_HD_SIZE = (1280, 577)  # from this width or height on, untagged video is BT.709


@dataclass(frozen=True)
class Geometry:
    """How the pixels of a file have to be turned, mirrored and stretched to be shown.

    Args:
        turns: quarter turns counter-clockwise, 0 to 3, after mirroring.
        mirrored: whether left and right are exchanged.
        aspect: width of a stored pixel, in heights of it.
    """

    turns: int = 0
    mirrored: bool = False
    aspect: float = 1.0

    def size(self, width: int, height: int, short_side: int | None = None) -> tuple[int, int]:
        """Return width and height of the picture of a stored frame before it is turned.

        Pixels that are not square are stretched, never squeezed, as players do.

        Args:
            width: of the stored frame, in pixels.
            height: of the stored frame, in pixels.
            short_side: a larger picture is scaled down to this many pixels on the shorter side.
        """
        across, down = width * max(self.aspect, 1.0), height / min(self.aspect, 1.0)
        scale = min(1.0, (short_side or math.inf) / min(across, down))
        return max(1, round(across * scale)), max(1, round(down * scale))

    def shown_size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the picture of a stored frame."""
        across, down = self.size(width, height)
        return (down, across) if self.turns % 2 else (across, down)

    def upright(self, stored_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a frame mirrored and turned as it is shown."""
        return np.rot90(stored_HW3[:, ::-1] if self.mirrored else stored_HW3, self.turns)


def read_geometry(frame: VideoFrame, stream: VideoStream) -> Geometry:
    """Return how the frames of a stream are shown.

    Args:
        frame: a decoded frame of it, with its display matrix.
        stream: the stream, with its sample aspect ratio.
    """
    turns, mirrored = _read_matrix(frame)
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    aspect = float(ratio) if ratio else 1.0
    if not 1 / MAX_SQUEEZE <= aspect <= MAX_SQUEEZE:
        aspect = 1.0
    return Geometry(turns, mirrored, aspect)


def to_rgb(
    reformatter: VideoReformatter, frame: VideoFrame, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return a frame scaled and in RGB, uint8 [H, W, 3], with the colours that it is tagged with.

    Untagged video is BT.601, or BT.709 if it is larger than standard definition, as in players.

    Args:
        reformatter: one for all frames: a new one per frame took up to two thirds of the time.
        frame: the decoded frame.
        size: width and height, in pixels.
    """
    is_hd = frame.width >= _HD_SIZE[0] or frame.height >= _HD_SIZE[1]
    scaled = reformatter.reformat(
        frame,
        width=size[0],
        height=size[1],
        format="rgb24",
        interpolation="AREA",
        src_colorspace=_BT709 if is_hd and frame.colorspace == _UNSPECIFIED else None,
    )
    return np.asarray(scaled.to_ndarray(), np.uint8)


def _read_matrix(frame: VideoFrame) -> tuple[int, bool]:
    """Return the turns and the mirroring of a frame's display matrix (ISO/IEC 14496-12, 8.3.2).

    A point of the stored frame is shown at (a x + c y, b x + d y), with y downwards. Angles between
    quarter turns are rounded to one.
    """
    try:
        data: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # side data that PyAV has no name for
        return round(frame.rotation / 90) % 4, False
    matrix = np.frombuffer(bytes(data), np.int32) if data is not None else ()
    if len(matrix) != 9:
        return 0, False
    a, b, c, d = (float(matrix[index]) for index in (0, 1, 3, 4))
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    clockwise = math.atan2(b, a)
    return round(-clockwise / (math.pi / 2)) % 4, mirrored
