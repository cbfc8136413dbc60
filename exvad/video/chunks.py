"""Video files: probe, cut into chunks, decode; memory is bounded by a chunk whatever the length.

A snippet is one frame taken every `stride`. Reading a file's packets once, without decoding, tells
how many frames there really are and when each is shown; a chunk carries the times of its own
frames, so that any process can seek to them.

t snippets of a chunk · n frames of a video · H, W pixels · C colours
"""

from __future__ import annotations

from array import array
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.video.container import (
    VideoError,
    decode_packet,
    open_video,
    read_packets,
)

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray


MAX_PIXELS = 64_000_000
DEFAULT_FPS = 25.0
_UNKNOWN = -(2**63)  # stands for a time that the file does not tell


@dataclass(frozen=True)
class VideoInfo:
    """What a video really contains, whatever its header says.

    Args:
        path: the file.
        num_frames: frames that are there and shown: those an edit list hides are not, nor those
            before the first keyframe of a recording that was cut; damaged ones are.
        fps: frames per second, on average.
        duration: seconds from the first frame's start to the last one's end.
        width: of the first picture as shown, in pixels of the file.
        height: of the first picture as shown, in pixels of the file.
        codec: name of the codec, such as h264.
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
        times: when each snippet's frame is shown, in seconds from the video's first frame.
        pts: the same in the file's own time units; empty where the file tells no times that can
            be trusted, so that frames have to be counted from the start.
        seeks: pts of the keyframe to start from, and its dts where that is another; empty: start
            from the file's first frame.
    """

    video_id: str
    path: str
    chunk: int
    first_snippet: int
    first_frame: int
    stride: int
    times: tuple[float, ...]
    pts: tuple[int, ...]
    seeks: tuple[int, ...] = ()

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
        # Arrow hands lists back as arrays, and FFmpeg seeks to plain integers only.
        lists = {name: tuple(np.asarray(row[name]).tolist()) for name in ("times", "pts", "seeks")}
        return cls(**{**row, **lists})


def probe(path: str | Path) -> VideoInfo:
    """Read what a video file really contains: all its packets, but only its first picture.

    Args:
        path: local path or URI.

    Raises:
        VideoError: it is missing, empty, no video, or has no picture that can be decoded.
    """
    return survey_packets(str(path)).info


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
        VideoError: it is missing, empty, no video, or has no picture that can be decoded.
    """
    survey = survey_packets(str(path))
    snippets = range(0, survey.info.num_frames, stride)
    chunks: list[Chunk] = []
    for first in range(0, len(snippets), snippets_per_chunk):
        frames = snippets[first : first + snippets_per_chunk]
        chunks.append(make_chunk(survey, frames, video_id, len(chunks), first))
    return survey.info, chunks


@dataclass(frozen=True)
class _Survey:
    """What one pass over the packets of a video tells.

    Args:
        info: for the user.
        seconds: when each frame is shown, from the first one on, float64 [n].
        pts: the same in the file's own time units, int64 [n]; None where it can't be trusted.
        keys: pts and dts of the keyframes, sorted, int64 [k, 2].
    """

    info: VideoInfo
    seconds: NDArray[np.float64]
    pts: NDArray[np.int64] | None
    keys: NDArray[np.int64]


def survey_packets(path: str) -> _Survey:
    """Read all packets of a file, without decoding: its frames, their times and keyframes."""
    pts_all, dts_all, is_key = array("q"), array("q"), bytearray()
    first: VideoFrame | None = None
    with open_video(path) as (container, stream):
        for packet in read_packets(container, stream):
            if first is None:
                first = next(iter(decode_packet(stream, packet)), None)
            if not packet.is_discard and _is_shown(packet):
                pts_all.append(_UNKNOWN if packet.pts is None else packet.pts)
                dts_all.append(_UNKNOWN if packet.dts is None else packet.dts)
                is_key.append(packet.is_keyframe)
        if first is None:
            first = next(iter(decode_packet(stream, None)), None)
        if not pts_all or first is None:
            reason = "none of its frames can be decoded" if pts_all else "has no frame"
            raise VideoError(path, reason)
        if first.width * first.height > MAX_PIXELS:
            raise VideoError(path, f"{first.width}×{first.height} pixels are too many for a video")
        pts = np.array(pts_all, np.int64)
        dts = np.array(dts_all, np.int64)
        key = np.array(is_key, bool)
        trusted = _times_are_trusted(container, stream, pts, dts)
        # What a cut recording has before its first keyframe can't be decoded; an open group's
        # first pictures, which belong to the one before, can't either.
        start = int(key.argmax())
        if trusted:
            assert first.pts is not None
            shown = pts >= min(first.pts, pts[start])
        else:
            shown = np.arange(len(pts)) >= start
        pts, dts, key = pts[shown], dts[shown], key[shown]
        rate = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
        seconds = np.arange(len(pts)) / rate
        if trusted:
            keys = np.stack([pts[key], np.where(dts[key] == _UNKNOWN, pts[key], dts[key])], axis=1)
            keys = keys[np.argsort(keys[:, 0])]
            pts = np.sort(pts)
            seconds = (pts - pts[0]) * float(stream.time_base or 0)
            # The header's rate is the more exact one where it is right.
            if abs(seconds[-1] * rate - (len(pts) - 1)) > 0.1:
                rate = (len(pts) - 1) / float(seconds[-1])
        wide, tall = first.width, first.height
        if quarter_turns(first) % 2:
            wide, tall = tall, wide
        info = VideoInfo(
            path=path,
            num_frames=len(pts),
            fps=rate,
            duration=float(seconds[-1]) + 1 / rate,
            width=wide,
            height=tall,
            codec=stream.codec_context.codec.canonical_name,
        )
    if not trusted:
        return _Survey(info, seconds, None, np.empty((0, 2), np.int64))
    return _Survey(info, seconds, pts, keys)


def _is_shown(packet: Packet[VideoStream]) -> bool:
    """Whether a packet holds a frame to show, not one that others only refer to (VP8).

    RFC 6386, 9.1: bit 4 of a packet's first byte.
    """
    return packet.stream.codec_context.name != "vp8" or bool(memoryview(packet)[0] & 0x10)


def _times_are_trusted(
    container: InputContainer, stream: VideoStream, pts: NDArray[np.int64], dts: NDArray[np.int64]
) -> bool:
    """Whether the times say in which order frames are shown and lead back to them."""
    if (pts == _UNKNOWN).any() or len(np.unique(pts)) < len(pts):
        return False
    if (np.diff(dts[dts != _UNKNOWN]) < 0).any():
        return False  # recordings put one after the other, each with its own clock
    codec = stream.codec_context
    # AVI tells no order of showing, and FFmpeg makes one up that ignores B-frames.
    return not (container.format.name == "avi" and codec.name != "mpeg4" and codec.has_b_frames)


def make_chunk(
    survey: _Survey, frames: range, video_id: str = "", chunk: int = 0, first_snippet: int = 0
) -> Chunk:
    """Return the chunk of some frames of a surveyed file."""
    own = np.array(frames)
    pts: tuple[int, ...] = ()
    seeks: tuple[int, ...] = ()
    if survey.pts is not None:
        pts = tuple(survey.pts[own].tolist())
        number = int(np.searchsorted(survey.keys[:, 0], pts[0], side="right")) - 1
        if number > 0:
            # MP4 and Matroska are seeked by the one, transport streams by the other.
            seeks = tuple(dict.fromkeys(survey.keys[number].tolist()))
    return Chunk(
        video_id=video_id,
        path=survey.info.path,
        chunk=chunk,
        first_snippet=first_snippet,
        first_frame=frames[0],
        stride=frames.step,
        times=tuple(survey.seconds[own].tolist()),
        pts=pts,
        seeks=seeks,
    )


def quarter_turns(frame: VideoFrame) -> int:
    """Return how often to turn a picture counter-clockwise by 90° to make it upright."""
    return round(frame.rotation / 90) % 4
