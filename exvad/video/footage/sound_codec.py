"""Encoded sound as MP4 can have it: copied where possible, else encoded anew as AAC."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet

AAC, OPUS, MP3 = "aac", "opus", "mp3"
MIN_MP3_RATE = 16_000  # samples per second, below which MP4 has no MP3
RATES = (16_000, 24_000, 32_000, 48_000)  # a packet of AAC lasts 64 ms or less
BITS_PER_CHANNEL = 48_000  # per second
_ADTS_BYTES, _ADTS_CHECKED_BYTES = 7, 9


class SoundCodec(Protocol):
    """Converts the packets of a source to those of a track."""

    def convert(self, packet: Packet[AudioStream]) -> Sequence[Packet[Any]]:
        """Return the packets of the track that are ready after one of the source.

        Raises:
            FFmpegError: it is damaged.
            ValueError: it is damaged, or the sound has changed its format.
        """
        ...

    def add_track(self, container: OutputContainer) -> Any:
        """Add the track to a file; return it, or None as long as its format is not known."""
        ...

    def flush(self) -> Sequence[Packet[Any]]:
        """Return the last packets; none may follow."""
        ...


def choose_codec(stream: AudioStream) -> SoundCodec:
    """Return what makes the sound of a stream fit into MP4."""
    context = stream.codec_context
    codec = context.codec.canonical_name
    # Of sound that begins later than FFmpeg's probing reaches, only the codec is known.
    is_known = context.sample_rate > 0 and context.channels > 0
    if is_known and codec == AAC:
        return CopiedSound(stream) if context.extradata else FramedAac(stream)
    if is_known and codec == OPUS and context.extradata:
        return CopiedSound(stream)
    if is_known and codec == MP3 and context.sample_rate >= MIN_MP3_RATE:
        return CopiedSound(stream)
    return EncodedSound(stream)


class CopiedSound:
    """Packets as the source encoded them.

    Args:
        stream: of the source.
    """

    def __init__(self, stream: AudioStream) -> None:
        self._stream = stream
        self._bit_rate = stream.codec_context.bit_rate or 0

    def convert(self, packet: Packet[AudioStream]) -> Sequence[Packet[Any]]:
        """Return the packet."""
        return [packet]

    def add_track(self, container: OutputContainer) -> Any:
        """Add a track like the stream to a file."""
        track: Any = container.add_stream_from_template(self._stream, opaque=True)
        # FFmpeg measures it anew in every packet, and all files of the track must begin alike.
        track.codec_context.bit_rate = self._bit_rate
        return track

    def flush(self) -> Sequence[Packet[Any]]:
        """Return no packet."""
        return []


class FramedAac(CopiedSound):
    """AAC whose packets say their format themselves (ADTS), as in MPEG-TS.

    Args:
        stream: of the source.
    """

    _format = b""

    def convert(self, packet: Packet[AudioStream]) -> Sequence[Packet[Any]]:
        """Return the packet without its header.

        Raises:
            ValueError: it has none, or the format has changed.
        """
        import av

        content = bytes(packet)
        own_format, header_bytes = read_adts(content)
        self._format = self._format or own_format
        if own_format != self._format:
            raise ValueError("the format of the sound has changed")
        bare: Packet[Any] = av.Packet(content[header_bytes:])
        bare.pts, bare.dts, bare.duration = packet.pts, packet.dts, packet.duration
        bare.time_base = packet.time_base
        return [bare]

    def add_track(self, container: OutputContainer) -> Any:
        """Add a track to a file; None before the first packet."""
        if not self._format:
            return None
        track = super().add_track(container)
        track.codec_context.extradata = self._format
        return track


class EncodedSound:
    """Sound that is decoded and encoded as AAC, such as G.711.

    Args:
        stream: of the source.
    """

    def __init__(self, stream: AudioStream) -> None:
        context = stream.codec_context
        # Packets of few samples per second last too long: a clip would begin with silence.
        self._rate = next((rate for rate in RATES if rate >= context.sample_rate), RATES[-1])
        if not context.sample_rate:
            self._rate = RATES[-1]
        self._layout = "mono" if context.channels == 1 else "stereo"
        self._bit_rate = BITS_PER_CHANNEL * (1 if context.channels == 1 else 2)
        self._encoder = self._open()

    def convert(self, packet: Packet[AudioStream]) -> Sequence[Packet[Any]]:
        """Decode a packet; return what is encoded so far.

        Raises:
            FFmpegError: it is damaged.
            ValueError: the sound has changed its format; the next packets are encoded again.
        """
        try:
            frames: list[Any] = packet.decode()
            return [item for frame in frames for item in self._encoder.encode(frame)]
        except ValueError:
            self._encoder = self._open()
            raise

    def add_track(self, container: OutputContainer) -> Any:
        """Add a track of AAC to a file."""
        track: Any = container.add_stream(
            AAC, rate=self._rate, layout=self._layout, bit_rate=self._bit_rate
        )
        return track

    def flush(self) -> Sequence[Packet[Any]]:
        """Return the packets that the encoder still has."""
        import av

        with suppress(av.error.FFmpegError, ValueError):
            return list(self._encoder.encode(None))
        return []

    def _open(self) -> Any:
        import av

        encoder: Any = av.CodecContext.create(AAC, "w")
        encoder.sample_rate, encoder.layout, encoder.format = self._rate, self._layout, "fltp"
        encoder.bit_rate, encoder.time_base = self._bit_rate, Fraction(1, self._rate)
        return encoder


def read_adts(content: bytes) -> tuple[bytes, int]:
    """Read the header of a packet of AAC (ISO/IEC 13818-7, 6.2).

    Args:
        content: the packet.

    Returns:
        The format as MP4 has it (AudioSpecificConfig), and the bytes of the header.

    Raises:
        ValueError: it has no header, or one that refers to a list of channels.
    """
    if len(content) <= _ADTS_CHECKED_BYTES or content[0] != 0xFF or content[1] & 0xF6 != 0xF0:
        raise ValueError("the AAC of the sound has no headers")
    profile, rate = content[2] >> 6, content[2] >> 2 & 0xF
    channels = (content[2] & 1) << 2 | content[3] >> 6
    if not channels:
        raise ValueError("the channels of the sound are not known")
    header_bytes = _ADTS_BYTES if content[1] & 1 else _ADTS_CHECKED_BYTES
    return ((profile + 1) << 11 | rate << 7 | channels << 3).to_bytes(2, "big"), header_bytes
