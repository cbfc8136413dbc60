"""Small real video files whose frames show their own index, and how to decode and read them.

A frame shows its index as 4 × 3 blocks, orange for a 1 and black for a 0, so that it can be read
back after lossy coding, scaling and conversion to gray.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.stream import Disposition

from exvad.video.chunks import Chunk, plan_chunks
from exvad.video.decoding import decode_chunk

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS, ROWS = 4, 3
ORANGE = (255, 170, 60)
TICKS = 1000
FAST_VPX = {"cpu-used": "16", "deadline": "realtime"}


def draw_index(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a frame that shows an index below 4,096, RGB uint8 [H, W, 3]; `size` is (W, H)."""
    assert 0 <= index < 2 ** (COLUMNS * ROWS)
    width, height = size
    row_H = np.arange(height) * ROWS // height
    column_W = np.arange(width) * COLUMNS // width
    bit_HW = index >> (row_H[:, None] * COLUMNS + column_W) & 1
    frame_HWC: NDArray[np.uint8] = (bit_HW[:, :, None] * np.array(ORANGE)).astype(np.uint8)
    return frame_HWC


def read_index(frame_HWC: NDArray[np.uint8]) -> int:
    """Return the index that a frame shows, read from the middle of every block."""
    height, width = frame_HWC.shape[:2]
    index = 0
    for bit in range(COLUMNS * ROWS):
        row, column = divmod(bit, COLUMNS)
        y, x = int((row + 0.5) * height / ROWS), int((column + 0.5) * width / COLUMNS)
        block = frame_HWC[max(y - 1, 0) : y + 1, max(x - 1, 0) : x + 1, 1]
        index |= int(block.mean() > 85) << bit
    return index


def read_indices(frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> list[int]:
    """Return the indices that several frames show."""
    return [read_index(frame_HWC) for frame_HWC in frames]


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
    aspect: Fraction | None = None,
) -> Path:
    """Write a video whose frames show `first`, `first` + 1, …; return its path.

    Args:
        path: the file; its suffix selects the container.
        num_frames: number of frames.
        codec: FFmpeg's name of the encoder.
        fps: frames per second.
        size: width and height as shown (a turned video is stored on its side).
        gop: maximum frames from one keyframe to the next.
        b_frames: maximum B-frames in a row.
        pix_fmt: pixel format.
        milliseconds: time of each frame, for a variable rate; needs a container with times.
        options: further options of the encoder.
        faststart: store the index of an MP4 file first, so that a truncated copy has it.
        turns: clockwise quarter turns that a player has to make (MP4 only).
        first: index of the first frame.
        aspect: sample aspect ratio: width of a stored pixel, in heights of it.
    """
    defaults = {"crf": "12", "preset": "ultrafast"} if codec == "libx264" else {}
    container_options = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", options=container_options) as container:
        stream = container.add_stream(codec, rate=fps, options={**defaults, **(options or {})})
        assert isinstance(stream, av.VideoStream), f"{codec} is not a video codec"
        stream.width, stream.height = size[::-1] if turns % 2 else size
        stream.pix_fmt = pix_fmt
        stream.gop_size = gop
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if codec in ("libx264", "mpeg4"):
            stream.codec_context.max_b_frames = b_frames
        if codec != "libx264":
            stream.bit_rate = 2_000_000
        time_base = Fraction(1, fps)
        if milliseconds is not None:
            time_base = Fraction(1, TICKS)
            stream.codec_context.time_base = time_base
        for index in range(num_frames):
            upright = draw_index(first + index, size)
            stored = np.ascontiguousarray(np.rot90(upright, turns))
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
            frame.time_base = time_base
            frame.pts = index if milliseconds is None else milliseconds[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if turns:
        a, b, c, d = {1: (0, 1, -1, 0), 2: (-1, 0, 0, -1), 3: (0, -1, 1, 0)}[turns % 4]
        set_mp4_matrix(path, a, b, c, d)
    return path


def write_streams(path: Path, default: int, picture: int | None = None) -> Path:
    """Write three video streams; stream n shows the indices from 100 n on.

    Args:
        path: a Matroska file. Returned.
        default: index of the stream that is marked as default.
        picture: index of a stream that is marked as a cover picture.
    """
    kinds = Disposition
    with av.open(str(path), "w") as container:
        streams: list[Any] = []
        for index in range(3):
            stream: Any = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 48, 36, "yuv420p"
            is_picture = kinds.attached_pic if index == picture else kinds(0)
            stream.disposition = is_picture | (kinds.default if index == default else kinds(0))
            streams.append(stream)
        for frame in range(20):
            for index, stream in enumerate(streams):
                pixels = draw_index(100 * index + frame, (48, 36))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    return path


def remux(
    source: Path,
    target: Path,
    retime: Callable[[int, int], int | None],
    options: Mapping[str, str] | None = None,
) -> Path:
    """Copy the packets of a video without B-frames to another file with other times.

    Args:
        source: the video.
        target: the other file; its suffix selects the container. Returned.
        retime: from the index of a packet and its time in milliseconds to its new time; None for no
            time.
        options: options of the container.
    """
    with (
        av.open(str(source)) as original,
        av.open(str(target), "w", options=dict(options or {})) as copy,
    ):
        stream = copy.add_stream_from_template(original.streams.video[0])
        packets = [packet for packet in original.demux(video=0) if packet.size]
        for index, packet in enumerate(packets):
            assert packet.pts is not None
            assert packet.time_base is not None
            milliseconds = retime(index, round(packet.pts * packet.time_base * TICKS))
            packet.pts = packet.dts = milliseconds
            packet.time_base = Fraction(1, TICKS)
            packet.stream = stream
            copy.mux(packet)
    return target


def decode_video(
    path: Path | str,
    stride: int = 16,
    snippets_per_chunk: int = 256,
    short_side: int | None = None,
    stride_seconds: float = 0.0,
) -> tuple[list[int], list[float], list[str], list[Chunk]]:
    """Plan and decode a whole video; return the indices it shows, their times, problems, chunks."""
    _, chunks = plan_chunks("clip", path, stride, snippets_per_chunk, stride_seconds)
    indices: list[int] = []
    times: list[float] = []
    problems: list[str] = []
    for chunk in chunks:
        decoded = decode_chunk(chunk, short_side)
        assert decoded.frames.dtype == np.uint8
        assert decoded.frames.shape[0] == len(decoded.times) == chunk.num_snippets
        indices += read_indices(decoded.frames)
        times += decoded.times.tolist()
        problems += decoded.problems
    return indices, times, problems, chunks


def write_audio(path: Path) -> Path:
    """Write a tenth of a second of silence, without video; return its path."""
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
    """Copy the first `share` of a file to a file beside it; return its path."""
    content = path.read_bytes()
    copy = path.with_stem(f"{path.stem}-truncated")
    copy.write_bytes(content[: int(len(content) * share)])
    return copy


def set_mp4_matrix(path: Path, a: float, b: float, c: float, d: float) -> None:
    """Set the matrix of the only track's header (ISO/IEC 14496-12, 8.3.2).

    A point (x, y) of the stored frame is shown at (a x + c y, b x + d y), with y downwards.
    """
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (round(value * (1 << 16)) for value in (a, b, c, d))
    struct.pack_into(">9i", content, matrix, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
