"""The sound of a live source: which of its packets belong to a stretch of the picture.

Sources send sound some time before or after the picture of the same moment, or not at all for a
while. The times of both are those of the source's clock.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from exvad.video.footage.sound_codec import choose_codec

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

LATE_SECONDS = 2.0  # by which sound may come after the picture of the same moment
MAX_PACKETS = 4096


class SoundPacket(NamedTuple):
    """A packet of the track and when it begins, in seconds by the source."""

    packet: Packet[Any]
    seconds: float


def choose_sound(container: InputContainer, stream: VideoStream) -> AudioStream | None:
    """Return the sound that belongs to a picture; None without any that can be decoded.

    Args:
        container: the open source.
        stream: its picture.
    """
    sound: Any = container.streams.best("audio", related=stream)
    if sound is None:  # FFmpeg leaves out what begins later than its probing reaches
        sound = next(iter(container.streams.audio), None)
    # A stream whose codec is not known has no context, whatever the types say.
    return None if sound is None or sound.codec_context is None else sound


class Sound:
    """The sound of one connection.

    Args:
        stream: of the source.
    """

    def __init__(self, stream: AudioStream) -> None:
        self._codec = choose_codec(stream)
        self._waiting: deque[SoundPacket] = deque(maxlen=MAX_PACKETS)
        self._is_missing = False  # it did not come in time, and has not come since

    def take(self, packet: Packet[AudioStream]) -> None:
        """Take the next packet of the source; one that is damaged or has no time is left out."""
        import av

        if packet.size and packet.pts is not None:
            try:
                self._put(self._codec.convert(packet))
            except (av.error.FFmpegError, ValueError):
                return

    def end(self) -> None:
        """Take what is left, at the end of the connection."""
        self._put(self._codec.flush())

    def is_complete(self, seconds: float, now: float) -> bool:
        """Return whether no sound before a time is still to come.

        Args:
            seconds: by the source.
            now: time of the newest picture.
        """
        if any(item.seconds >= seconds for item in self._waiting) or self._is_missing:
            return True
        self._is_missing = now - seconds > LATE_SECONDS
        return self._is_missing

    def cut(self, begin: float, end: float) -> list[SoundPacket]:
        """Return the packets that begin in a stretch; those before it are dropped.

        Args:
            begin: seconds by the source.
            end: seconds by the source.
        """
        found, later = list[SoundPacket](), list[SoundPacket]()
        last = float("-inf")
        for item in self._waiting:
            if item.seconds >= end:
                later.append(item)
            elif item.seconds >= begin and item.seconds > last:  # a clock may go back a little
                found.append(item)
                last = item.seconds
        self._waiting.clear()
        self._waiting.extend(later)
        return found

    def forget(self, seconds: float) -> None:
        """Drop what is far from a time, because the clock of the source was set."""
        near = [item for item in self._waiting if abs(item.seconds - seconds) <= LATE_SECONDS]
        self._waiting.clear()
        self._waiting.extend(near)

    def add_track(self, container: OutputContainer) -> Any:
        """Add its track to a file; return it, or None as long as its format is not known."""
        return self._codec.add_track(container)

    def _put(self, packets: Any) -> None:
        for packet in packets:
            if packet.pts is not None:
                self._is_missing = False
                self._waiting.append(SoundPacket(packet, float(packet.pts * packet.time_base)))
