"""Real little video files whose every frame tells its own index.

The index is written into the picture as 4 × 3 blocks, orange for a 1 and black for a 0, so that it
can be read back after lossy coding, scaling and in gray.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS, ROWS = 4, 3
ORANGE = (255, 170, 60)
TICKS = 1000


def draw_index(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw an index (below 4,096) as a picture of `size` (width, height): RGB uint8 [H, W, 3]."""
    assert 0 <= index < 2 ** (COLUMNS * ROWS)
    width, height = size
    row_H = np.arange(height) * ROWS // height
    column_W = np.arange(width) * COLUMNS // width
    bit_HW = index >> (row_H[:, None] * COLUMNS + column_W) & 1
    picture: NDArray[np.uint8] = (bit_HW[:, :, None] * np.array(ORANGE)).astype(np.uint8)
    return picture


def read_index(picture: NDArray[np.uint8]) -> int:
    """Read the index that `draw_index` drew, from the middle of every block."""
    height, width = picture.shape[:2]
    index = 0
    for bit in range(COLUMNS * ROWS):
        row, column = divmod(bit, COLUMNS)
        y, x = int((row + 0.5) * height / ROWS), int((column + 0.5) * width / COLUMNS)
        block = picture[max(y - 1, 0) : y + 1, max(x - 1, 0) : x + 1, 1]
        index |= int(block.mean() > 85) << bit
    return index


def read_indices(pictures: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> list[int]:
    """Read the indices of several pictures."""
    return [read_index(picture) for picture in pictures]


def write_video(
    path: Path,
    num_frames: int,
    *,
    codec: str = "libx264",
    fps: int = 25,
    size: tuple[int, int] = (32, 24),
    gop: int = 12,
    b_frames: int = 0,
    pix_fmt: str = "yuv420p",
    milliseconds: Sequence[int] | None = None,
    options: Mapping[str, str] | None = None,
    faststart: bool = False,
    turns: int = 0,
    first: int = 0,
) -> Path:
    """Write a video whose frames show `first`, `first` + 1, …

    Args:
        path: where; its suffix chooses the container.
        num_frames: how many frames.
        codec: FFmpeg's name of the encoder.
        fps: frames per second.
        size: width and height as shown (when turned, the stored picture lies on its side).
        gop: most frames from one keyframe to the next.
        b_frames: most B-frames in a row.
        pix_fmt: pixel format.
        milliseconds: when each frame is shown, for a variable rate; needs a container with times.
        options: more of the encoder.
        faststart: an mp4's index comes first, so that a truncated copy still has it.
        turns: quarter turns clockwise a player has to make (mp4 only).
        first: index of the first frame.
    """
    more = {"crf": "12", "preset": "ultrafast"} if codec == "libx264" else {}
    container_options = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", options=container_options) as container:
        stream = container.add_stream(codec, rate=fps, options={**more, **(options or {})})
        assert isinstance(stream, av.VideoStream), f"{codec} codes no pictures"
        stream.width, stream.height = size[::-1] if turns % 2 else size
        stream.pix_fmt = pix_fmt
        stream.gop_size = gop
        if codec in ("libx264", "mpeg4"):
            stream.codec_context.max_b_frames = b_frames
        if codec != "libx264":
            stream.bit_rate = 2_000_000
        base = Fraction(1, fps)
        if milliseconds is not None:
            base = Fraction(1, TICKS)
            stream.codec_context.time_base = base
        for number in range(num_frames):
            upright = draw_index(first + number, size)
            stored = np.ascontiguousarray(np.rot90(upright, turns))
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
            frame.time_base = base
            frame.pts = number if milliseconds is None else milliseconds[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if turns:
        _set_mp4_turns(path, turns)
    return path


def write_audio(path: Path) -> Path:
    """Write a tenth of a second of silence, without any picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1600), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def truncated(path: Path, share: float) -> Path:
    """Copy the first part of a file, beside it."""
    content = path.read_bytes()
    copy = path.with_stem(f"{path.stem}-truncated")
    copy.write_bytes(content[: int(len(content) * share)])
    return copy


def _set_mp4_turns(path: Path, turns: int) -> None:
    """Set the matrix of the only track's header (ISO/IEC 14496-12, 8.3.2)."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    one = 1 << 16
    a, b, c, d = {1: (0, one, -one, 0), 2: (-one, 0, 0, -one), 3: (0, -one, one, 0)}[turns % 4]
    struct.pack_into(">9i", content, matrix, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
