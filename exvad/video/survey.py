"""Survey a video file: read all its packets, without decoding, to find its frames and their times.

Headers are often wrong about the number of frames, so the packets are counted. The times of the
frames and the keyframes make it possible to seek to any of them.

n frames of the video · k keyframes
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from exvad.video.container import (
    DEFAULT_FPS,
    VideoError,
    decode_packet,
    describe_choice,
    open_video,
    read_packets,
)
from exvad.video.footage.clock import (
    DEFAULT_STEP,
    SPARSE_SHARE,
    Timeline,
    close_first_second,
    is_in_order,
    mend_clock,
    read_clock,
)
from exvad.video.footage.endings import describe_end
from exvad.video.footage.fields import FieldPairs
from exvad.video.footage.picture import GeometryReader
from exvad.video.open_file import OpenFile

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

MAX_PIXELS = 64_000_000
_ROUNDED_STEP = 0.2  # share by which rounding may change the usual step of a constant rate
_SPARSE_FRAMES = 3  # by which the times of few frames may differ from those of a constant rate
# Mask and value of the first byte of packets that show no frame: only a reference for others (VP8,
# RFC 6386, 9.1), or a header, with which a recording that was joined to another begins (Theora,
# 6.1).
_HIDDEN_BITS = {"vp8": (0x10, 0), "theora": (0x80, 0x80)}
_MAX_LEADING = 17  # one more than there may be between two frames that they refer to
_NO_TIME = -(2**63)  # in place of a time that the file does not have


@dataclass(frozen=True)
class VideoInfo:
    """The real content of a video, whatever its header says.

    Args:
        path: the file.
        num_frames: frames that are shown, damaged ones included; without those that an edit list
            hides and those before the first keyframe of a cut recording.
        fps: frames per second, on average; without the gaps.
        duration: seconds from the start of the first frame to the end of the last one.
        width: of the first frame as shown, in square pixels.
        height: of the first frame as shown, in square pixels.
        codec: name of the codec, such as h264.
        notes: what is odd about the file and how it was understood, in words.
        gaps: seconds at which nothing was recorded, from the end of the last frame before to the
            first frame after; of no length where the clock was set.
        lead: seconds that players show before the first frame, such as sound that begins earlier.
    """

    path: str
    num_frames: int
    fps: float
    duration: float
    width: int
    height: int
    codec: str
    notes: tuple[str, ...] = ()
    gaps: tuple[tuple[float, float], ...] = ()
    lead: float = 0.0


@dataclass(frozen=True)
class PacketSurvey:
    """The frames of a video, from one pass over its packets.

    Args:
        info: the content of the video.
        seconds: time of each frame since the first one, float64 [n].
        pts: the same in the file's time base, int64 [n]; None if the file's times are unreliable.
        keyframes: pts and dts of the keyframes, sorted, int64 [k, 2]; empty without `pts`.
        orientation: that of the first frame; see `exvad.video.footage.picture.Geometry`.
    """

    info: VideoInfo
    seconds: NDArray[np.float64]
    pts: NDArray[np.int64] | None
    keyframes: NDArray[np.int64]
    orientation: int


class _Packets(NamedTuple):
    """The packets of the frames: pts and dts, int64 [n], and keyframe flags, bool [n]."""

    pts: NDArray[np.int64]
    dts: NDArray[np.int64]
    is_key: NDArray[np.bool_]


def probe(path: str | Path, folder_fps: float = DEFAULT_FPS) -> VideoInfo:
    """Read the content of a video file: all its packets, but only its first frame is decoded.

    Args:
        path: local path or URI.
        folder_fps: frames per second of a video that is a folder of frames.

    Raises:
        VideoError: the file is missing, empty, not a video, or none of its frames can be decoded.
    """
    return survey_packets(path, folder_fps).info


def survey_packets(
    path: str | Path, folder_fps: float = DEFAULT_FPS, file: OpenFile | None = None
) -> PacketSurvey:
    """Read all packets of a file: its frames, their times and the keyframes.

    Args:
        path: local path or URI.
        folder_fps: frames per second of a video that is a folder of frames.
        file: its content, if another process has opened it.

    Raises:
        VideoError: the file is missing, empty, not a video, or none of its frames can be decoded.
    """
    path = str(path)
    with open_video(path, folder_fps, file) as (container, stream):
        packets, first, end = _read_frame_packets(container, stream)
        if not len(packets.pts) or first is None:
            reason = "none of its frames can be decoded" if len(packets.pts) else "has no frame"
            raise VideoError(path, reason)
        if first.width * first.height > MAX_PIXELS:
            raise VideoError(path, f"{first.width}×{first.height} pixels are too many for a video")
        clock = _FileClock(container, stream, packets)
        packets = _drop_undecodable(packets, first, clock.is_reliable)
        pts, keyframes = None, np.empty((0, 2), np.int64)
        if clock.is_reliable:
            # After a seek, FFmpeg counts the times of a .dav recording from another second.
            if container.format.name != "dhav":
                keyframes = _sorted_keyframes(packets)
            pts = np.sort(packets.pts)
        rate = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
        timeline = clock.read(packets, rate)
        seconds = timeline.seconds
        # A correct rate in the header is more exact than the average of rounded times.
        is_correct = abs(seconds[-1] * rate - (len(seconds) - 1)) <= 0.1
        fps = rate if is_correct else timeline.fps
        step = 1 / fps if abs(timeline.step * fps - 1) < _ROUNDED_STEP else timeline.step
        if len(seconds) == 1:
            step = min(1 / rate, DEFAULT_STEP)
        geometry = GeometryReader(stream).read(first)
        width, height = geometry.shown_size(first.width, first.height)
        info = VideoInfo(
            path=path,
            num_frames=len(packets.pts),
            fps=fps,
            duration=float(seconds[-1]) + step,
            width=width,
            height=height,
            codec=stream.codec_context.codec.canonical_name,
            notes=(
                *describe_choice(container, stream),
                *describe_end(container, end),
                *timeline.notes,
            ),
            gaps=timeline.gaps,
            lead=_lead(container, stream, clock.ticks(packets) if clock.is_reliable else None),
        )
    return PacketSurvey(info, seconds, pts, keyframes, geometry.orientation)


def _lead(container: InputContainer, stream: VideoStream, pts: NDArray[np.int64] | None) -> float:
    """Return the seconds from the beginning of a file, as players count them, to its first frame.

    Args:
        container: the file.
        stream: its video.
        pts: times of the frames that are shown, increasing; None if they are unreliable.
    """
    if pts is None or stream.time_base is None:
        return 0.0
    starts = [
        float(other.start_time * other.time_base)
        for other in (stream, *container.streams.audio)
        if other.start_time is not None and other.time_base is not None
    ]
    first = float(int(pts[0]) * stream.time_base)
    return max(0.0, first - min([*starts, first]))


def _read_frame_packets(
    container: InputContainer, stream: VideoStream
) -> tuple[_Packets, VideoFrame | None, int]:
    """Read all packets.

    Returns:
        The packets of all frames that are shown, the first frame that can be decoded, and the bytes
        up to the end of the last packet; 0 if the container does not say where it is.
    """
    last: Packet[VideoStream] | None = None
    pts, dts, is_key = array("q"), array("q"), bytearray()
    first: VideoFrame | None = None
    fields = FieldPairs(stream)
    may_have_fields = fields.are_possible
    hidden = _HIDDEN_BITS.get(stream.codec_context.codec.canonical_name)
    for packet in read_packets(container, stream):
        last = packet
        if first is None:
            first = next(iter(decode_packet(stream, packet)), None)
        if may_have_fields and fields.is_second(packet):
            continue
        if not packet.is_discard and (hidden is None or _is_shown(packet, hidden)):
            pts.append(_NO_TIME if packet.pts is None else packet.pts)
            dts.append(_NO_TIME if packet.dts is None else packet.dts)
            is_key.append(packet.is_keyframe)
    if first is None:
        first = next(iter(decode_packet(stream, None)), None)
    packets = _Packets(np.array(pts, np.int64), np.array(dts, np.int64), np.array(is_key, bool))
    end = 0 if last is None or last.pos is None else last.pos + last.size
    return packets, first, end


def _is_shown(packet: Packet[VideoStream], hidden: tuple[int, int]) -> bool:
    """Return whether a packet is that of a frame that is shown.

    Args:
        packet: a packet of VP8 or Theora.
        hidden: see `_HIDDEN_BITS`.
    """
    mask, value = hidden
    return memoryview(packet)[0] & mask != value


class _FileClock:
    """The times that the packets of a file have.

    Args:
        container: the open file.
        stream: its video stream.
        packets: the packets of all its frames.

    Attributes:
        is_reliable: whether the pts give the order of the frames and can be used to seek to them.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, packets: _Packets) -> None:
        codec = stream.codec_context
        self._time_base = float(stream.time_base or 0)
        pts, dts = packets.pts, packets.dts
        self._is_dav = container.format.name == "dhav"
        has_both = (pts != _NO_TIME) & (dts != _NO_TIME)
        self._reordered = bool(codec.has_b_frames) or bool((pts != dts)[has_both].any())
        # AVI has no presentation times. Those that FFmpeg derives ignore B-frames, and without
        # B-frames they are those of the next frame, which may come after a standstill.
        self._is_guessed = container.format.name == "avi" and codec.name != "mpeg4"
        self._has_pts = not (self._is_guessed and codec.has_b_frames)
        self.is_reliable = (
            self._has_pts
            and bool((pts != _NO_TIME).all())
            and len(np.unique(pts)) == len(pts)
            and not (np.diff(dts[dts != _NO_TIME]) < 0).any()
            and is_in_order(pts.astype(float), self._reordered)
        )

    def ticks(self, packets: _Packets) -> NDArray[np.int64]:
        """Return the times at which frames are shown, increasing, in the file's time base.

        Args:
            packets: the packets, whose times are reliable.
        """
        pts, dts = packets.pts, packets.dts
        is_steady = self._is_guessed and (np.diff(pts) > 0).all() and (np.diff(dts) > 0).all()
        ticks: NDArray[np.int64] = dts if is_steady and dts[0] != _NO_TIME else np.sort(pts)
        return ticks

    def read(self, packets: _Packets, rate: float) -> Timeline:
        """Return the times of the frames of packets.

        Args:
            packets: the packets.
            rate: frames per second, as the header says.
        """
        if self.is_reliable:
            ticks = self.ticks(packets)
            seconds = (ticks - ticks[0]) * self._time_base
            return read_clock(close_first_second(seconds) if self._is_dav else seconds)
        shown, coded = self._seconds(packets.pts), self._seconds(packets.dts)
        even = Timeline(np.arange(len(shown)) / rate, 1 / rate)
        if self._has_pts and not self._is_guessed:
            timeline = mend_clock(shown, coded, self._reordered)
        else:
            # One frame is shown at a time: the n-th at the n-th time, whatever its packet.
            timeline = mend_clock(coded, coded, reordered=False)
        if timeline is None:
            return even
        is_sparse = np.isnan(shown).mean() >= SPARSE_SHARE
        is_even = np.abs(timeline.seconds - even.seconds).max() <= _SPARSE_FRAMES / rate
        if not (is_sparse and is_even):
            return timeline
        # What is known of few frames only tells where the clock jumps, but less exactly when.
        jumps = np.searchsorted(timeline.seconds, [end for _, end in timeline.gaps])
        places = even.seconds[jumps].tolist()
        return replace(even, gaps=tuple(zip(places, places, strict=True)), notes=timeline.notes)

    def _seconds(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.where(times == _NO_TIME, np.nan, times * self._time_base)


def _drop_undecodable(packets: _Packets, first: VideoFrame, reliable: bool) -> _Packets:
    """Return the packets without those before the first keyframe of a cut recording.

    The leading frames of an open group, which refer to the group before, are dropped as well.
    """
    first_key = int(packets.is_key.argmax())
    pts = packets.pts
    shown_from = int(pts[first_key]) if first.pts is None else min(first.pts, int(pts[first_key]))
    if reliable:
        decodable = pts >= shown_from
    else:
        decodable = np.arange(len(pts)) >= first_key
        count = _count_leading(packets, first_key, shown_from)
        decodable[first_key + 1 : first_key + 1 + count] = False
    return _Packets(pts[decodable], packets.dts[decodable], packets.is_key[decodable])


def _count_leading(packets: _Packets, first_key: int, shown_from: int) -> int:
    """Count the packets behind the first keyframe that are shown before it.

    They are coded after it, and frames that are shown after it follow. Else the time of the
    keyframe is stray, or the clock was set back.
    """
    behind = slice(first_key + 1, first_key + 1 + _MAX_LEADING)
    pts, dts, key_dts = packets.pts[behind], packets.dts[behind], packets.dts[first_key]
    is_early = (pts != _NO_TIME) & (pts < shown_from)
    count = int(np.append(is_early, False).argmin())
    later = pts[count:][pts[count:] != _NO_TIME]
    is_before_key = (dts[:count] != _NO_TIME) & (dts[:count] < key_dts)
    if not len(later) or later[0] < shown_from or is_before_key.any():
        return 0
    return count


def _sorted_keyframes(packets: _Packets) -> NDArray[np.int64]:
    pts, dts = packets.pts[packets.is_key], packets.dts[packets.is_key]
    keyframes = np.stack([pts, np.where(dts == _NO_TIME, pts, dts)], axis=1)
    ordered: NDArray[np.int64] = keyframes[np.argsort(keyframes[:, 0])]
    return ordered
