"""Decode chunks of a video, and single frames at given times.

t snippets of a chunk · H, W pixels · C colours
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exvad.video.chunks import Chunk, make_chunk
from exvad.video.container import DEFAULT_FPS, VideoError, decode_frames, open_video
from exvad.video.footage.frame_sizes import Allocate, FrameSizes
from exvad.video.footage.picture import GeometryReader, to_rgb
from exvad.video.open_file import OpenFile
from exvad.video.survey import survey_packets

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

_ROUNDING = 1e-3  # seconds: rounded times, as records have them, still select their own frame


@dataclass(frozen=True)
class DecodedChunk:
    """The frames of a chunk.

    Args:
        frames: RGB, uint8 [t, H, W, 3]; all of the size of most frames.
        times: seconds of each frame, float64 [t].
        problems: frames that could not be decoded and were replaced by their nearest neighbour, or
            that have another size.
    """

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    problems: list[str]


def decode_chunk(
    chunk: Chunk,
    short_side: int | None = None,
    threads: int = 1,
    file: OpenFile | None = None,
    allocate: Allocate | None = None,
) -> DecodedChunk:
    """Decode the snippets of a chunk; the caller has to limit the time.

    The frames are the same as those of decoding the file from its start. Memory holds them and one
    frame of the file's size. If the resolution changes midway, all frames are scaled to the size of
    most of them; until the end, those of another size than the first one are held beside it.

    Args:
        chunk: which frames.
        short_side: larger frames are scaled down to this many pixels on the shorter side; None
            keeps their size.
        threads: threads of the decoder; 0 for one per core. Every thread holds some more frames.
        file: the video's content, if another process has opened it.
        allocate: returns an array of this shape for the frames; None for one of this process.

    Raises:
        VideoError: no frame of the chunk can be decoded.
        ValueError: `short_side` is below 1.
    """
    if short_side is not None and short_side < 1:
        raise ValueError(f"short_side must be at least 1 pixel, not {short_side}")
    decoder = _ChunkDecoder(chunk, short_side, threads, file, allocate or _allocate)
    complete = False
    if chunk.pts:
        starts = (*chunk.seeks, None)
        # Without the frames that no other one needs, a decoder may output too few of the others.
        complete = any(
            decoder.decode_by_time(start, skip_unneeded)
            for start in starts
            for skip_unneeded in (True, False)
        )
    if not complete:
        decoder.decode_by_count()
    return decoder.result()


def read_frames(
    path: str | Path,
    times: Sequence[float],
    short_side: int | None = None,
    folder_fps: float = DEFAULT_FPS,
    file: OpenFile | None = None,
) -> list[NDArray[np.uint8]]:
    """Decode the frames that are shown at given times.

    Args:
        path: local path or URI.
        times: seconds since the first frame, in any order; times outside the video select its
            first or last frame.
        short_side: larger frames are scaled down to this many pixels on the shorter side; None
            keeps their size.
        folder_fps: frames per second of a video that is a folder of frames.
        file: the video's content, if another process has opened it.

    Returns:
        RGB frames, uint8 [H, W, 3] each, in the order of `times`.

    Raises:
        VideoError: the file can't be read, or one of the frames can't be decoded.
    """
    survey = survey_packets(path, folder_fps, file)
    shown = np.searchsorted(survey.seconds, np.asarray(times, float) + _ROUNDING, side="right") - 1
    indices = [max(0, int(index)) for index in shown]
    frames: dict[int, NDArray[np.uint8]] = {}
    for index in sorted(set(indices)):
        chunk = make_chunk(survey, np.array([index]))
        frames[index] = decode_chunk(chunk, short_side, file=file).frames[0]
    return [frames[index] for index in indices]


class _ChunkDecoder:
    """Collects the frames of a chunk, upright, in RGB and of one size."""

    def __init__(
        self,
        chunk: Chunk,
        short_side: int | None,
        threads: int,
        file: OpenFile | None,
        allocate: Allocate,
    ) -> None:
        from av.video.reformatter import VideoReformatter

        self.chunk, self.short_side, self.threads, self.file = chunk, short_side, threads, file
        # One for all frames: a new one per frame took up to two thirds of the time.
        self.reformatter = VideoReformatter()
        self.frames = FrameSizes(chunk.num_snippets, allocate, self.reformatter)

    def decode_by_time(self, start: int | None, skip_unneeded: bool) -> bool:
        """Seek and decode the frames by their pts.

        Args:
            start: where to seek to, in the file's time base; None for the file's beginning.
            skip_unneeded: do not decode frames that neither the chunk nor other frames need.

        Returns:
            Whether the frames are right. They are not if the keyframe is not found at `start`, if
            it needs earlier frames (as with intra refresh), if frames come in another order, or if
            one is missing after unneeded ones were skipped. Then another way has to be tried.
        """
        import av

        snippet_of = {pts: snippet for snippet, pts in enumerate(self.chunk.pts)}
        self.frames.clear()
        previous: int | None = None
        with open_video(self.chunk.path, file=self.file) as (container, stream):
            geometry = self._prepare(stream)
            if start is not None:
                try:
                    container.seek(start, stream=stream)
                except av.error.FFmpegError:
                    return False
            keyframe = None if start is None else self.chunk.seeks[0]
            needed = snippet_of if skip_unneeded else None
            for frame in decode_frames(container, stream, keyframe, needed):
                pts = frame.pts
                if pts is None or (previous is not None and pts <= previous):
                    return False
                is_first = keyframe is not None and previous is None
                if is_first and not (pts == keyframe and _is_intra(frame)):
                    return False
                previous = pts
                geometry.follow(frame)
                if pts in snippet_of:
                    self._store(snippet_of[pts], frame, geometry)
                if pts >= self.chunk.pts[-1]:
                    break
            else:
                return not skip_unneeded and (start is None or bool(self.frames.is_decoded.any()))
        return not skip_unneeded or bool(self.frames.is_decoded.all())

    def decode_by_count(self) -> None:
        """Decode from the file's beginning and count the frames."""
        indices = self.chunk.frame_indices
        snippet_of = {index: snippet for snippet, index in enumerate(indices)}
        self.frames.clear()
        with open_video(self.chunk.path, file=self.file) as (container, stream):
            geometry = self._prepare(stream)
            for index, frame in enumerate(decode_frames(container, stream)):
                geometry.follow(frame)
                if index in snippet_of:
                    self._store(snippet_of[index], frame, geometry)
                if index >= indices[-1]:
                    return

    def result(self) -> DecodedChunk:
        """Return the frames, with the nearest neighbour in place of each missing one.

        Raises:
            VideoError: no frame was decoded.
        """
        times = np.array(self.chunk.times)
        decoded = np.flatnonzero(self.frames.is_decoded)
        frames_tHWC, problems = self.frames.join()
        if frames_tHWC is None:
            interval = f"{times[0]:.1f} to {times[-1]:.1f}"
            raise VideoError(self.chunk.path, f"no frame can be decoded from second {interval}")
        missing = np.flatnonzero(~self.frames.is_decoded)
        for snippet in missing:
            nearest = decoded[np.abs(decoded - snippet).argmin()]
            frames_tHWC[snippet] = frames_tHWC[nearest]
        if len(missing):
            seconds = ", ".join(f"{time:.1f}" for time in times[missing[:5]])
            seconds += ", …" if len(missing) > 5 else ""
            problems.append(
                f"{len(missing)} of {len(times)} frames can't be decoded (at second {seconds}); "
                "the nearest frames replace them"
            )
        return DecodedChunk(frames_tHWC, times, problems)

    def _prepare(self, stream: VideoStream) -> GeometryReader:
        stream.thread_type = "NONE" if self.threads == 1 else "AUTO"
        stream.codec_context.thread_count = self.threads
        return GeometryReader(stream, self.chunk.orientation)

    def _store(self, snippet: int, frame: VideoFrame, reader: GeometryReader) -> None:
        # Every frame has its own: recordings change it, and so do the images of a folder.
        geometry = reader.read(frame)
        size = geometry.size(frame.width, frame.height, self.short_side)
        self.frames.add(snippet, geometry.upright(to_rgb(self.reformatter, frame, size)))


def _allocate(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.empty(shape, np.uint8)


def _is_intra(frame: VideoFrame) -> bool:
    """Return whether a frame needs no other frame.

    `key_frame` alone is not enough: it also marks the begin of an intra refresh.
    """
    from av.video.frame import PictureType

    kind = frame.pict_type
    return kind == PictureType.I or (bool(frame.key_frame) and kind == PictureType.NONE)
