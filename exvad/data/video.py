"""Video files: probe, cut into chunks, decode; memory is bounded by a chunk whatever the length.

A snippet is one frame taken every `stride`. Reading a file's packets once, without decoding, tells
how many frames there really are and when each is shown; a chunk carries the times of its own
frames, so that any process can seek to them.

t snippets of a chunk · H, W pixels · C colours
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

MAX_PIXELS = 64_000_000
DEFAULT_FPS = 25.0


class VideoError(ValueError):
    """A file can't be read as a video: names it and says why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[type[VideoError], tuple[str, str]]:
        return VideoError, (self.path, self.reason)


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video without decoding it.

    Args:
        path: the file.
        num_frames: frames that are really there, whatever the header says.
        fps: frames per second, on average.
        duration: seconds from the first frame's start to the last one's end.
        width: of the picture as shown, in pixels.
        height: of the picture as shown, in pixels.
        codec: name of the codec.
    """

    path: str
    num_frames: int
    fps: float
    duration: float
    width: int
    height: int
    codec: str


@dataclass(frozen=True)
class Chunk:
    """A stretch of a video that is decoded on its own.

    Args:
        video_id: the video.
        path: its file.
        chunk: number of the chunk within the video.
        first_snippet: number of its first snippet within the video.
        first_frame: index of that snippet's frame.
        stride: frames from one snippet to the next.
        times: when each snippet's frame is shown, in seconds from the first frame.
        pts: the same in the file's own time units; empty where the file tells no times, so that
            frames have to be counted from the start.
    """

    video_id: str
    path: str
    chunk: int
    first_snippet: int
    first_frame: int
    stride: int
    times: tuple[float, ...]
    pts: tuple[int, ...]

    @property
    def num_snippets(self) -> int:
        """How many snippets the chunk has."""
        return len(self.times)

    def to_row(self) -> dict[str, Any]:
        """Return plain values that travel between processes."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Chunk:
        """Rebuild a chunk from its plain values."""
        return cls(**{**row, "times": tuple(row["times"]), "pts": tuple(row["pts"])})


@dataclass(frozen=True)
class DecodedChunk:
    """The pictures of a chunk.

    Args:
        frames: RGB, uint8 [t, H, W, 3]; one size, that of the first picture.
        times: seconds of each, float64 [t].
        problems: what could not be read and was replaced by its nearest neighbour.
    """

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    problems: list[str]


def probe(path: str | Path) -> VideoInfo:
    """Read what a video file really contains.

    Raises:
        VideoError: it is missing, empty, no video, or has no picture.
    """
    return _survey(str(path))[0]


def plan_chunks(
    video_id: str, path: str | Path, stride: int = 16, snippets_per_chunk: int = 256
) -> tuple[VideoInfo, list[Chunk]]:
    """Cut a video into chunks.

    Args:
        video_id: how the video is called.
        path: local path or URI.
        stride: frames per snippet.
        snippets_per_chunk: most snippets of a chunk.

    Raises:
        VideoError: it is missing, empty, no video, or has no picture.
    """
    info, pts, seconds = _survey(str(path))
    frames = range(0, info.num_frames, stride)
    chunks: list[Chunk] = []
    for first in range(0, len(frames), snippets_per_chunk):
        own = frames[first : first + snippets_per_chunk]
        chunks.append(
            Chunk(
                video_id,
                str(path),
                len(chunks),
                first,
                own[0],
                stride,
                tuple(float(seconds[frame]) for frame in own),
                tuple(int(pts[frame]) for frame in own) if pts is not None else (),
            )
        )
    return info, chunks


def decode_chunk(chunk: Chunk, short_side: int | None = None) -> DecodedChunk:
    """Decode the snippets of a chunk.

    Args:
        chunk: which frames.
        short_side: larger pictures are scaled down to this many pixels; None keeps their size.

    Raises:
        VideoError: no frame of the chunk can be decoded.
    """
    wanted = list(chunk.pts) or [
        chunk.first_frame + number * chunk.stride for number in range(chunk.num_snippets)
    ]
    place = {key: number for number, key in enumerate(wanted)}
    found: dict[int, NDArray[np.uint8]] = {}
    size: tuple[int, int] | None = None
    with _open(chunk.path) as (container, stream):
        for key, frame in _frames(chunk, container, stream):
            number = place.get(key)
            if number is not None:
                picture, size = _picture(frame, short_side, size)
                found[number] = picture
            if len(found) == len(place) or key > wanted[-1]:
                break
    if not found:
        seconds = f"{chunk.times[0]:.1f}–{chunk.times[-1]:.1f}"
        raise VideoError(chunk.path, f"no frame can be decoded in seconds {seconds}")
    missing = [number for number in range(chunk.num_snippets) if number not in found]
    there = np.array(sorted(found))
    for number in missing:
        found[number] = found[int(there[np.abs(there - number).argmin()])]
    problems = []
    if missing:
        problems.append(
            f"{len(missing)} of {chunk.num_snippets} snippets from {chunk.times[0]:.1f} s on can't "
            "be decoded; their nearest neighbours stand in"
        )
    frames_tHWC = np.stack([found[number] for number in range(chunk.num_snippets)])
    return DecodedChunk(frames_tHWC, np.array(chunk.times), problems)


def read_frames(
    path: str | Path, times: Sequence[float], short_side: int
) -> list[NDArray[np.uint8]]:
    """Decode the frames shown at some moments, RGB uint8 [H, W, 3] each.

    Args:
        path: local path or URI.
        times: seconds from the first frame, in any order.
        short_side: larger pictures are scaled down to this many pixels.

    Raises:
        VideoError: the file can't be read.
    """
    _, pts, seconds = _survey(str(path))
    numbers = [
        max(0, int(np.searchsorted(seconds, time + 1e-6, side="right")) - 1) for time in times
    ]
    pictures = []
    for number in numbers:
        chunk = Chunk(
            "",
            str(path),
            0,
            0,
            number,
            1,
            (float(seconds[number]),),
            (int(pts[number]),) if pts is not None else (),
        )
        pictures.append(decode_chunk(chunk, short_side).frames[0])
    return pictures


def _survey(path: str) -> tuple[VideoInfo, NDArray[np.int64] | None, NDArray[np.float64]]:
    """Read all packets: what the video is, its frames' pts (None if unknown) and seconds."""
    with _open(path) as (container, stream):
        stamps: list[int | None] = []
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard and not packet.is_corrupt:
                stamps.append(packet.pts)
        if not stamps:
            raise VideoError(path, "has a video stream but no frame")
        codec = stream.codec_context
        tall, wide = codec.height, codec.width
        if not tall or not wide:
            raise VideoError(path, f"its {codec.name} stream tells no picture size")
        if tall * wide > MAX_PIXELS:
            raise VideoError(path, f"its pictures of {wide}×{tall} pixels are too large")
        rate = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
        known = [stamp for stamp in stamps if stamp is not None]
        pts = None
        seconds = np.arange(len(stamps)) / rate
        if len(known) == len(stamps) and len(set(known)) == len(known):
            pts = np.sort(np.array(known, dtype=np.int64))
            seconds = (pts - pts[0]) * float(stream.time_base or 0)
            if len(pts) > 1 and seconds[-1] > 0:
                rate = (len(pts) - 1) / float(seconds[-1])
        if _quarter_turns(_rotation(container, stream)) % 2:
            tall, wide = wide, tall
        duration = float(seconds[-1]) + 1 / rate
        info = VideoInfo(path, len(stamps), rate, duration, wide, tall, codec.name)
    return info, pts, seconds


@contextlib.contextmanager
def _open(path: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file's first real video stream; whatever FFmpeg says against it is a VideoError."""
    import av

    with contextlib.ExitStack() as stack:
        try:
            source: Any = path
            if "://" in path:
                import fsspec

                source = stack.enter_context(fsspec.open(path, "rb"))
            elif not Path(path).exists():
                raise VideoError(path, "there is no such file")
            elif not Path(path).is_file():
                raise VideoError(path, "is a folder, not a video file")
            elif not Path(path).stat().st_size:
                raise VideoError(path, "the file is empty")
            container = stack.enter_context(av.open(source, metadata_errors="replace"))
            streams = [
                stream
                for stream in container.streams.video
                if not stream.disposition & stream.disposition.attached_pic
            ]
            if not streams:
                raise VideoError(path, "has no video stream")
            if streams[0].codec_context is None:
                raise VideoError(path, "its codec is not known here")
            yield container, streams[0]
        except av.error.FFmpegError as error:
            raise VideoError(path, f"can't be read as a video ({error.strerror})") from error


def _frames(
    chunk: Chunk, container: InputContainer, stream: VideoStream
) -> Iterator[tuple[int, VideoFrame]]:
    """Decode forward from the keyframe before the chunk; yield (pts or frame number, frame)."""
    import av

    stream.thread_type = "AUTO"
    if chunk.pts:
        with contextlib.suppress(av.error.FFmpegError):
            container.seek(chunk.pts[0], stream=stream, backward=True)
    count = 0
    for packet in container.demux(stream):
        if packet.is_corrupt:
            continue
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            key = frame.pts if chunk.pts else count
            if key is not None:
                yield key, frame
            count += 1


def _picture(
    frame: VideoFrame, short_side: int | None, size: tuple[int, int] | None
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Return a frame as RGB, upright, scaled to `size` or (the first one) to `short_side`."""
    if size is None:
        scale = min(1.0, (short_side or 10**9) / min(frame.width, frame.height))
        size = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    picture = frame.to_ndarray(width=size[0], height=size[1], format="rgb24", interpolation="AREA")
    upright: NDArray[np.uint8] = np.rot90(picture, _quarter_turns(frame.rotation))
    return np.ascontiguousarray(upright), size


def _rotation(container: InputContainer, stream: VideoStream) -> int:
    """Return the rotation flag of the first frame that decodes, in degrees."""
    import av

    container.seek(0)
    with contextlib.suppress(av.error.FFmpegError):
        for frame in container.decode(stream):
            return int(frame.rotation)
    return 0


def _quarter_turns(degrees: int) -> int:
    """Return how often to turn a picture counter-clockwise by 90° to make it upright."""
    return round(degrees / 90) % 4
