"""The packets of a live source as fragments of MP4, as the camera encoded them.

A fragment begins at a key frame, or goes on where a key frame is far away. Sound is left out.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exvad.data.storage.errors import reason_of
from exvad.video.footage.mp4_boxes import split_file
from exvad.video.footage.parameter_sets import read_parameter_sets

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

MIN_SECONDS, MAX_SECONDS = 1.0, 4.0  # of a fragment; a key frame in between ends it
MAX_BYTES = 2**24
MAX_STEP = 10.0  # seconds between two packets of one fragment
OPTIONS = {"movflags": "frag_custom+empty_moov+default_base_moof"}


@dataclass(frozen=True)
class Fragment:
    """A few seconds of a stream.

    Args:
        head: beginning of an MP4 file with such fragments; another one says that the encoding of
            the stream has changed.
        data: the fragment.
        start: seconds since the stream began.
        end: seconds since the stream began.
        is_key: whether it begins at a key frame.
    """

    head: bytes
    data: bytes
    start: float
    end: float
    is_key: bool


@dataclass
class _Waiting:
    """Packets of the fragment that is not finished.

    Args:
        packets: with their times, which a packet may not have itself: decoding and display, ticks.
        size: bytes.
    """

    packets: list[tuple[Packet[VideoStream], int | None, int]] = field(default_factory=list)
    size: int = 0


class Recorder:
    """Turns the packets of a source into fragments, over all its connections.

    Args:
        keep: receives each fragment; must return at once.
        report: receives a problem in words; must return at once.
    """

    def __init__(self, keep: Callable[[Fragment], None], report: Callable[[str], None]) -> None:
        self._keep, self._report = keep, report
        self._stream: VideoStream | None = None
        self._problem = ""
        self._decoded_until = self._shown_until = float("-inf")  # seconds since the stream began

    def open(self, stream: VideoStream, connected_at: float) -> None:
        """Begin a connection.

        Args:
            stream: its packets follow.
            connected_at: seconds since the stream began.
        """
        self._stream, self._offset = stream, connected_at
        self._began = time.monotonic()
        self._tick = float(stream.time_base or 1)
        self._parameter_sets = b""
        self._waiting, self._needs_key = _Waiting(), True
        self._last: tuple[int | None, int] | None = None

    def take(self, packet: Packet[VideoStream]) -> None:
        """Take the next packet of the connection, before it is decoded."""
        if not packet.size:
            return
        dts, pts = packet.dts, packet.pts
        if pts is None:
            # A source without times is timed by the clock of this machine, as its frames are.
            pts = int((time.monotonic() - self._began) / self._tick) if dts is None else dts
        if self._has_jumped(dts, pts):
            self.finish()
            self._needs_key = True
        elif self._is_enough(packet, pts):
            self.finish()
        self._last = dts, pts
        if packet.is_keyframe:
            self._read_parameter_sets(packet)
        if packet.is_keyframe or not self._needs_key:
            self._needs_key = False
            self._waiting.packets.append((packet, dts, pts))
            self._waiting.size += packet.size

    def place(self, own_time: float | None, seconds: float) -> None:
        """Take the time of a frame that was decoded, which is the time of its packet.

        Args:
            own_time: seconds by the source; None if it gives none.
            seconds: since the stream began.
        """
        if own_time is not None:
            self._offset = seconds - own_time

    def finish(self) -> None:
        """Finish the fragment in progress, as at the end of a connection."""
        waiting, self._waiting = self._waiting, _Waiting()
        if not waiting.packets:
            return
        import av

        try:
            self._keep(self._make(waiting))
            self._problem = ""
        except (av.error.FFmpegError, ValueError) as error:
            self._needs_key = True
            reason = reason_of(error)
            if reason != self._problem:  # once, not every second
                self._report(f"can't be recorded as MP4: {reason}")
            self._problem = reason

    def _has_jumped(self, dts: int | None, pts: int) -> bool:
        if self._last is None:
            return False
        last_dts, last_pts = self._last
        is_backward = dts is not None and last_dts is not None and dts <= last_dts
        return is_backward or abs(pts - last_pts) * self._tick > MAX_STEP

    def _is_enough(self, packet: Packet[VideoStream], pts: int) -> bool:
        if not self._waiting.packets:
            return False
        seconds = (pts - self._waiting.packets[0][2]) * self._tick
        is_long = seconds >= MAX_SECONDS or self._waiting.size > MAX_BYTES
        return is_long or (packet.is_keyframe and seconds >= MIN_SECONDS)

    def _read_parameter_sets(self, packet: Packet[VideoStream]) -> None:
        assert self._stream is not None
        found = read_parameter_sets(self._stream.codec_context.codec.canonical_name, bytes(packet))
        if found and self._parameter_sets and found != self._parameter_sets:
            self.finish()  # the camera was set up anew
        self._parameter_sets = found or self._parameter_sets

    def _make(self, waiting: _Waiting) -> Fragment:
        """Write packets to a file in memory.

        Raises:
            FFmpegError: MP4 has no place for them.
            ValueError: the same.
        """
        shown = [pts for _, _, pts in waiting.packets]
        decoded = _decoding_times(waiting.packets)
        first = decoded[0]
        is_key = waiting.packets[0][0].is_keyframe
        # Writing changes it; cameras do not say it.
        last_ticks = waiting.packets[-1][0].duration or (decoded[-1] - decoded[-2:][0])
        last_duration = last_ticks * self._tick
        head, data = split_file(self._write(waiting, decoded))
        # A source that is read faster than it plays is connected again before its last frames end,
        # and the last frames that are shown need not be the last that were decoded.
        delay = (min(shown) - first) * self._tick
        start = max(
            first * self._tick + self._offset, self._decoded_until, self._shown_until - delay
        )
        self._decoded_until = start + (decoded[-1] - first) * self._tick + last_duration
        self._shown_until = end = (max(shown) - first) * self._tick + start + last_duration
        return Fragment(head, data, start, max(start, end), is_key)

    def _write(self, waiting: _Waiting, decoded: list[int]) -> bytes:
        import av

        assert self._stream is not None
        buffer, decoder = io.BytesIO(), self._stream.codec_context
        with av.open(buffer, "w", format="mp4", options=OPTIONS) as container:
            track: Any = container.add_stream_from_template(self._stream, opaque=True)
            if self._parameter_sets:
                track.codec_context.extradata = self._parameter_sets
                track.codec_context.width = decoder.width
                track.codec_context.height = decoder.height
            for (packet, _, pts), dts in zip(waiting.packets, decoded, strict=True):
                packet.stream = track
                packet.dts, packet.pts = dts - decoded[0], max(dts, pts) - decoded[0]
                container.mux_one(packet)
        return buffer.getvalue()


def _decoding_times(packets: list[tuple[Packet[VideoStream], int | None, int]]) -> list[int]:
    """Return when each packet is decoded, in ticks; a source may say only when it is shown."""
    known = [(index, dts) for index, (_, dts, _) in enumerate(packets) if dts is not None]
    if known:
        # Matroska does not say it of the first packets; those after them tell.
        first, first_dts = known[0]
        step = packets[0][0].duration or 1
        times = [first_dts - (first - index) * step for index in range(first)]
        for _, dts, _ in packets[first:]:
            times.append(times[-1] if dts is None else dts)
    else:
        shown = [pts for _, _, pts in packets]
        ordered = sorted(shown)
        delay = max(later - own for later, own in zip(ordered, shown, strict=True))
        times = [pts - delay for pts in ordered]
    for index in range(1, len(times)):
        times[index] = max(times[index], times[index - 1] + 1)
    return times
