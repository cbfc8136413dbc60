"""TODO"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exvad.video.chunks import Chunk, make_chunk, quarter_turns, survey_packets
from exvad.video.container import (
    VideoError,
    open_video,
)
from exvad.video.container import read_frames as frames_of

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray


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


def decode_chunk(chunk: Chunk, short_side: int | None = None, threads: int = 1) -> DecodedChunk:
    """Decode the snippets of a chunk; nothing limits how long that takes but the caller.

    The frames are those a decoding from the start gives. It holds them and one frame of the file's
    own size at a time. A picture of another size than the first one (a resolution that changes
    midway) is stretched to it.

    Args:
        chunk: which frames.
        short_side: larger pictures are scaled down to this many pixels; None keeps their size.
        threads: of the decoder; 0 for one per core. With more than one, every thread holds some
            more frames.

    Raises:
        VideoError: no frame of the chunk can be decoded.
    """
    if short_side is not None and short_side < 1:
        raise ValueError(f"short_side must be at least 1 pixel, not {short_side}")
    reader = _ChunkReader(chunk, short_side, threads)
    found = False
    if chunk.pts:
        starts = (*chunk.seeks, None)
        # A decoder that is not given every picture may lose count of those it has to hold back.
        found = any(
            reader.read_by_time(start, sparing) for start in starts for sparing in (True, False)
        )
    if not found:
        reader.read_by_count()
    return reader.result()


def read_frames(
    path: str | Path, times: Sequence[float], short_side: int | None = None
) -> list[NDArray[np.uint8]]:
    """Decode the frames shown at some moments, RGB uint8 [H, W, 3] each.

    Args:
        path: local path or URI.
        times: seconds from the first frame, in any order; what lies outside the video means its
            first or last frame.
        short_side: larger pictures are scaled down to this many pixels; None keeps their size.

    Raises:
        VideoError: the file can't be read, or the frame at one of the times can't be decoded.
    """
    survey = survey_packets(str(path))
    # Rounded times, as records carry them, still mean the frame they were taken from.
    shown = np.searchsorted(survey.seconds, np.asarray(times, float) + 1e-3, side="right") - 1
    pictures: dict[int, NDArray[np.uint8]] = {}
    for frame in sorted({max(0, int(number)) for number in shown}):
        chunk = make_chunk(survey, range(frame, frame + 1))
        pictures[frame] = decode_chunk(chunk, short_side).frames[0]
    return [pictures[max(0, int(number))] for number in shown]


class _ChunkReader:
    """Collects the pictures of a chunk, upright, as RGB and in one size."""

    def __init__(self, chunk: Chunk, short_side: int | None, threads: int) -> None:
        from av.video.reformatter import VideoReformatter

        self.chunk, self.short_side, self.threads = chunk, short_side, threads
        # One for all frames: making it anew for each took up to two thirds of the time.
        self.reformatter = VideoReformatter()
        self.found = np.zeros(chunk.num_snippets, bool)
        self.frames_tHWC: NDArray[np.uint8] | None = None
        self.turns = 0

    def read_by_time(self, start: int | None, sparing: bool) -> bool:
        """Seek to `start` (None: read from the file's start) and decode; False if in vain.

        In vain means that the file does not keep what its times promise, so that another way has
        to be tried: the keyframe is not found there or needs earlier frames (as with intra
        refresh), or the frames come in another order. Sparing leaves out pictures that neither we
        nor others need, and is in vain if a frame is missing then.
        """
        import av

        place = {pts: number for number, pts in enumerate(self.chunk.pts)}
        self.found[:] = False
        previous: int | None = None
        with open_video(self.chunk.path) as (container, stream):
            self._set_threads(stream)
            if start is not None:
                try:
                    container.seek(start, stream=stream)
                except av.error.FFmpegError:
                    return False
            key = None if start is None else self.chunk.seeks[0]
            for frame in frames_of(container, stream, key, place if sparing else None):
                pts = frame.pts
                if pts is None or (previous is not None and pts <= previous):
                    return False
                if key is not None and previous is None and not (pts == key and _is_intra(frame)):
                    return False
                previous = pts
                if pts in place:
                    self._keep(place[pts], frame)
                if pts >= self.chunk.pts[-1]:
                    break
            else:
                return not sparing and (start is None or bool(self.found.any()))
        return not sparing or bool(self.found.all())

    def read_by_count(self) -> None:
        """Decode from the file's start and count."""
        first, stride = self.chunk.first_frame, self.chunk.stride
        self.found[:] = False
        with open_video(self.chunk.path) as (container, stream):
            self._set_threads(stream)
            for count, frame in enumerate(frames_of(container, stream)):
                number, between = divmod(count - first, stride)
                if number >= 0 and not between:
                    self._keep(number, frame)
                if number >= self.chunk.num_snippets - 1:
                    return

    def result(self) -> DecodedChunk:
        """Return the pictures, with neighbours in place of those that are missing."""
        times = np.array(self.chunk.times)
        there = np.flatnonzero(self.found)
        if self.frames_tHWC is None or not len(there):
            span = f"{times[0]:.1f} to {times[-1]:.1f}"
            raise VideoError(self.chunk.path, f"no frame can be decoded from second {span}")
        missing = np.flatnonzero(~self.found)
        for number in missing:
            self.frames_tHWC[number] = self.frames_tHWC[there[np.abs(there - number).argmin()]]
        problems = []
        if len(missing):
            where = ", ".join(f"{time:.1f}" for time in times[missing[:5]])
            where += ", …" if len(missing) > 5 else ""
            problems.append(
                f"{len(missing)} of {len(times)} frames can't be decoded (at second {where}); "
                "the nearest ones stand in for them"
            )
        return DecodedChunk(self.frames_tHWC, times, problems)

    def _set_threads(self, stream: VideoStream) -> None:
        stream.thread_type = "NONE" if self.threads == 1 else "AUTO"
        stream.codec_context.thread_count = self.threads

    def _keep(self, number: int, frame: VideoFrame) -> None:
        if self.frames_tHWC is None:
            scale = min(1.0, (self.short_side or 10**9) / min(frame.width, frame.height))
            wide, tall = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
            self.turns = quarter_turns(frame)
            upright = (wide, tall) if self.turns % 2 else (tall, wide)
            self.frames_tHWC = np.empty((self.chunk.num_snippets, *upright, 3), np.uint8)
        tall, wide = self.frames_tHWC.shape[1:3]
        if self.turns % 2:
            tall, wide = wide, tall
        picture = self.reformatter.reformat(
            frame, width=wide, height=tall, format="rgb24", interpolation="AREA"
        )
        self.frames_tHWC[number] = np.rot90(picture.to_ndarray(), self.turns)
        self.found[number] = True


def _is_intra(frame: VideoFrame) -> bool:
    """Whether a frame needs no other; key_frame alone also marks where an intra refresh begins."""
    from av.video.frame import PictureType

    kind = frame.pict_type
    return kind == PictureType.I or (bool(frame.key_frame) and kind == PictureType.NONE)
