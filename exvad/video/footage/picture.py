"""From a decoded frame to the picture that a player shows: upright, square pixels, RGB.

H, W pixels
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

MAX_SQUEEZE = 16.0  # a sample aspect ratio beyond it, or below its inverse, is a damaged header
# Codecs that say the orientation with some frames; it holds until another one is said.
_SAY_IT_ONCE = ("h264", "hevc", "vvc")
# Containers without a sample aspect ratio: that of the coded video counts, and may change.
_WITHOUT_ASPECT = ("mpegts", "mpeg", "flv", "dhav", "h264", "hevc", "mpegvideo", "m4v")
_UNNAMED_KINDS = 8  # of side data, which are newer than PyAV's list of them
# Colour matrices as ITU-T H.273 numbers them; FFmpeg refuses frames with other tags.
_BT709, _UNSPECIFIED, _BT601, _BT2020, _BT2020_CONSTANT = 1, 2, 5, 9, 10
_MATRICES = (0, _BT709, 4, _BT601, 6, 7, _BT2020)
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

    @property
    def orientation(self) -> int:
        """The turns, plus 4 if mirrored: 0 to 7."""
        return self.turns + 4 * self.mirrored

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


class GeometryReader:
    """Reads how the frames of a stream are shown; they are given in their order.

    Args:
        stream: the stream, with its sample aspect ratio.
        orientation: that of the frames before the first one that says its own; see `Geometry`.
    """

    def __init__(self, stream: VideoStream, orientation: int = 0) -> None:
        self._stream, self._orientation = stream, orientation
        self._persists = stream.codec_context.codec.canonical_name in _SAY_IT_ONCE

    def follow(self, frame: VideoFrame) -> None:
        """Take a frame that need not be shown: only keyframes matter, as they say what follows."""
        if self._persists and frame.key_frame:
            self._take(frame)

    def read(self, frame: VideoFrame) -> Geometry:
        """Return how a frame is shown.

        Args:
            frame: the decoded frame, with its display matrix.
        """
        self._take(frame)
        coded = self._stream.codec_context.sample_aspect_ratio
        ratio = self._stream.sample_aspect_ratio or coded
        if coded and self._stream.container.format.name in _WITHOUT_ASPECT:
            ratio = coded
        aspect = float(ratio) if ratio else 1.0
        if not 1 / MAX_SQUEEZE <= aspect <= MAX_SQUEEZE:
            aspect = 1.0
        return Geometry(self._orientation % 4, self._orientation >= 4, aspect)

    def _take(self, frame: VideoFrame) -> None:
        said = _read_matrix(frame)
        if said is not None:
            self._orientation = said
        elif not self._persists:
            self._orientation = 0


def to_rgb(
    reformatter: VideoReformatter, frame: VideoFrame, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return a frame scaled and in RGB, uint8 [H, W, 3], with the colours that it is tagged with.

    Untagged video is BT.601, or BT.709 if it is larger than standard definition, as in players; so
    is video with a tag of another matrix, such as YCgCo. BT.2020 of constant luminance is taken for
    that of non-constant luminance.

    Args:
        reformatter: one for all frames: a new one per frame took up to two thirds of the time.
        frame: the decoded frame.
        size: width and height, in pixels.
    """
    scaled = reformatter.reformat(
        frame,
        width=size[0],
        height=size[1],
        format="rgb24",
        interpolation="AREA",
        src_colorspace=_choose_matrix(frame),
    )
    return np.asarray(scaled.to_ndarray(), np.uint8)


def _choose_matrix(frame: VideoFrame) -> int | None:
    """Return the colour matrix to convert a frame with; None for the one that it is tagged with."""
    if frame.colorspace in _MATRICES:
        return None
    if frame.colorspace == _BT2020_CONSTANT:
        return _BT2020
    if frame.width >= _HD_SIZE[0] or frame.height >= _HD_SIZE[1]:
        return _BT709
    return None if frame.colorspace == _UNSPECIFIED else _BT601


def _read_matrix(frame: VideoFrame) -> int | None:
    """Return the orientation of a frame's display matrix (ISO/IEC 14496-12, 8.3.2); None without.

    A point of the stored frame is shown at (a x + c y, b x + d y), with y downwards. Angles between
    quarter turns are rounded to one.
    """
    try:
        data: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # beside side data that PyAV has no name for, such as that of EXIF
        data = _with_named_data(frame).side_data.get("DISPLAYMATRIX")
    matrix = np.frombuffer(bytes(data), np.int32) if data is not None else ()
    if len(matrix) != 9:
        return None
    a, b, c, d = (float(matrix[index]) for index in (0, 1, 3, 4))
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    clockwise = math.atan2(b, a)
    return Geometry(round(-clockwise / (math.pi / 2)) % 4, mirrored).orientation


def _with_named_data(frame: VideoFrame) -> VideoFrame:
    """Return a frame without the kinds of side data that PyAV can't list.

    As long as one of them is there, PyAV gives no access to the others.
    """
    from av.filter import Graph
    from av.sidedata.sidedata import Type

    graph = Graph()
    graph.threads = 1
    named = len(Type)
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
    )
    deleting = [
        graph.add("sidedata", f"mode=delete:type={kind}")
        for kind in range(named, named + _UNNAMED_KINDS)
    ]
    graph.link_nodes(source, *deleting, graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()
