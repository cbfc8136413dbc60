"""Survey a video file: read all its packets, without decoding, to find its frames and their times.

Headers are often wrong about the number of frames, so the packets are counted. The times of the
frames and the keyframes make it possible to seek to any of them.

n frames of the video · k keyframes
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from exvad.video.container import VideoError, decode_packet, open_video, read_packets
from exvad.video.open_file import OpenFile

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

MAX_PIXELS = 64_000_000
DEFAULT_FPS = 25.0
_NO_TIME = -(2**63)  # in place of a time that the file does not have


@dataclass(frozen=True)
class VideoInfo:
    """The real content of a video, whatever its header says.

    Args:
        path: the file.
        num_frames: frames that are shown, damaged ones included; without those that an edit list
            hides and those before the first keyframe of a cut recording.
        fps: frames per second, on average.
        duration: seconds from the start of the first frame to the end of the last one.
        width: of the first frame as shown, in pixels of the file.
        height: of the first frame as shown, in pixels of the file.
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
class PacketSurvey:
    """The frames of a video, from one pass over its packets.

    Args:
        info: the content of the video.
        seconds: time of each frame since the first one, float64 [n].
        pts: the same in the file's time base, int64 [n]; None if the file's times are unreliable.
        keyframes: pts and dts of the keyframes, sorted, int64 [k, 2]; empty without `pts`.
    """

    info: VideoInfo
    seconds: NDArray[np.float64]
    pts: NDArray[np.int64] | None
    keyframes: NDArray[np.int64]


class _Packets(NamedTuple):
    """The packets of the frames: pts and dts, int64 [n], and keyframe flags, bool [n]."""

    pts: NDArray[np.int64]
    dts: NDArray[np.int64]
    is_key: NDArray[np.bool_]


def probe(path: str | Path) -> VideoInfo:
    """Read the content of a video file: all its packets, but only its first frame is decoded.

    Args:
        path: local path or URI.

    Raises:
        VideoError: the file is missing, empty, not a video, or none of its frames can be decoded.
    """
    return survey_packets(path).info


def survey_packets(path: str | Path, file: OpenFile | None = None) -> PacketSurvey:
    """Read all packets of a file: its frames, their times and the keyframes.

    Args:
        path: local path or URI.
        file: its content, if another process has opened it.

    Raises:
        VideoError: the file is missing, empty, not a video, or none of its frames can be decoded.
    """
    path = str(path)
    with open_video(path, file) as (container, stream):
        packets, first = _read_frame_packets(container, stream)
        if not len(packets.pts) or first is None:
            reason = "none of its frames can be decoded" if len(packets.pts) else "has no frame"
            raise VideoError(path, reason)
        if first.width * first.height > MAX_PIXELS:
            raise VideoError(path, f"{first.width}×{first.height} pixels are too many for a video")
        reliable = _times_are_reliable(container, stream, packets)
        packets = _drop_undecodable(packets, first, reliable)
        pts, keyframes = None, np.empty((0, 2), np.int64)
        fps = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
        seconds = np.arange(len(packets.pts)) / fps
        if reliable:
            keyframes = _sorted_keyframes(packets)
            pts = np.sort(packets.pts)
            seconds = (pts - pts[0]) * float(stream.time_base or 0)
            # A correct rate in the header is more exact than the average of rounded times.
            if abs(seconds[-1] * fps - (len(pts) - 1)) > 0.1:
                fps = (len(pts) - 1) / float(seconds[-1])
        width, height = first.width, first.height
        if quarter_turns(first) % 2:
            width, height = height, width
        info = VideoInfo(
            path=path,
            num_frames=len(packets.pts),
            fps=fps,
            duration=float(seconds[-1]) + 1 / fps,
            width=width,
            height=height,
            codec=stream.codec_context.codec.canonical_name,
        )
    return PacketSurvey(info, seconds, pts, keyframes)


def quarter_turns(frame: VideoFrame) -> int:
    """Return how often a frame has to be turned counter-clockwise by 90° to be upright."""
    return round(frame.rotation / 90) % 4


def _read_frame_packets(
    container: InputContainer, stream: VideoStream
) -> tuple[_Packets, VideoFrame | None]:
    """Return the packets of all frames that are shown, and the first frame that can be decoded."""
    pts, dts, is_key = array("q"), array("q"), bytearray()
    first: VideoFrame | None = None
    for packet in read_packets(container, stream):
        if first is None:
            first = next(iter(decode_packet(stream, packet)), None)
        if not packet.is_discard and _is_shown(packet):
            pts.append(_NO_TIME if packet.pts is None else packet.pts)
            dts.append(_NO_TIME if packet.dts is None else packet.dts)
            is_key.append(packet.is_keyframe)
    if first is None:
        first = next(iter(decode_packet(stream, None)), None)
    packets = _Packets(np.array(pts, np.int64), np.array(dts, np.int64), np.array(is_key, bool))
    return packets, first


def _is_shown(packet: Packet[VideoStream]) -> bool:
    """Return whether the frame of a packet is shown, and not only a reference for others (VP8).

    RFC 6386, 9.1: bit 4 of a packet's first byte.
    """
    return packet.stream.codec_context.name != "vp8" or bool(memoryview(packet)[0] & 0x10)


def _times_are_reliable(container: InputContainer, stream: VideoStream, packets: _Packets) -> bool:
    """Return whether the pts give the order of the frames and can be used to seek to them."""
    pts, dts = packets.pts, packets.dts
    if (pts == _NO_TIME).any() or len(np.unique(pts)) < len(pts):
        return False
    if (np.diff(dts[dts != _NO_TIME]) < 0).any():
        return False  # concatenated recordings, each with a clock of its own
    codec = stream.codec_context
    # AVI has no presentation times, and those that FFmpeg derives ignore B-frames.
    return not (container.format.name == "avi" and codec.name != "mpeg4" and codec.has_b_frames)


def _drop_undecodable(packets: _Packets, first: VideoFrame, reliable: bool) -> _Packets:
    """Return the packets without those before the first keyframe of a cut recording.

    The leading frames of an open group, which refer to the group before, are dropped as well.
    """
    first_key = int(packets.is_key.argmax())
    if reliable:
        assert first.pts is not None
        decodable = packets.pts >= min(first.pts, packets.pts[first_key])
    else:
        decodable = np.arange(len(packets.pts)) >= first_key
    return _Packets(*(column[decodable] for column in packets))


def _sorted_keyframes(packets: _Packets) -> NDArray[np.int64]:
    pts, dts = packets.pts[packets.is_key], packets.dts[packets.is_key]
    keyframes = np.stack([pts, np.where(dts == _NO_TIME, pts, dts)], axis=1)
    ordered: NDArray[np.int64] = keyframes[np.argsort(keyframes[:, 0])]
    return ordered
