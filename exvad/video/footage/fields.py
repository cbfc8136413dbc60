"""Field-coded H.264: which packet holds the second field of a frame (ITU-T H.264, 7.3).

Interlaced video may code the two fields of a frame as two pictures. A container may give each of
them a packet of its own, but a decoder outputs one frame for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

_SLICES = (1, 2, 5)  # NAL units that begin with a slice header
_SPS = 7
_START_CODE = b"\0\0\1"
_HEAD_BYTES = 64  # of a NAL unit: more than the part of a slice header that is read
_SPS_BYTES = 1024
_HIGH_PROFILES = (44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244)
_MAX_ZEROS = 32  # leading zeros of an Exp-Golomb code


class FieldPairs:
    """Finds the packets that complete the frame of the packet before.

    Args:
        stream: a video stream; only H.264 that may be field-coded is looked into.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._settings: _Sequence | None = None
        self._length_bytes = 0
        self._first: tuple[bool, int] | None = None  # a field without its second: parity, number
        codec = stream.codec_context
        if codec.name == "h264" and codec.extradata:
            extradata = bytes(codec.extradata)
            if extradata[0] == 1 and len(extradata) > 8:
                self._length_bytes = (extradata[4] & 3) + 1
                self._settings = _parse_sequence(extradata[8:])
            else:
                for unit in _split_at_start_codes(memoryview(extradata)):
                    if unit[0] & 31 == _SPS:
                        self._settings = _parse_sequence(bytes(unit[:_SPS_BYTES]))

    @property
    def are_possible(self) -> bool:
        """Whether the stream may be field-coded at all."""
        return self._settings is not None and self._settings.may_have_fields

    def is_second(self, packet: Packet[VideoStream]) -> bool:
        """Return whether a packet is the second field of the frame of the packet before.

        Args:
            packet: the next packet of the stream; every packet has to be given, in order.
        """
        settings = self._settings
        if settings is None or not settings.may_have_fields:
            return False
        head = self._slice_head(memoryview(packet))
        field = None if head is None else settings.read_field(head)
        if field is None:
            self._first = None
            return False
        if self._first is not None and self._first[0] != field[0] and self._first[1] == field[1]:
            self._first = None
            return True
        self._first = field
        return False

    def _slice_head(self, content: memoryview) -> bytes | None:
        """Return the first bytes of the first slice of a packet; None without one."""
        size = self._length_bytes
        units = _split_by_length(content, size) if size else _split_at_start_codes(content)
        for unit in units:
            if unit[0] & 31 in _SLICES:
                return bytes(unit[:_HEAD_BYTES])
        return None


class _Sequence:
    """What a sequence parameter set says about slice headers.

    Args:
        may_have_fields: whether pictures may be fields.
        number_bits: bits of a frame's number.
        separate_planes: whether a slice names its colour plane.
    """

    def __init__(self, may_have_fields: bool, number_bits: int, separate_planes: bool) -> None:
        self.may_have_fields = may_have_fields
        self.number_bits = number_bits
        self.separate_planes = separate_planes

    def read_field(self, unit: bytes) -> tuple[bool, int] | None:
        """Return parity and frame number of a slice's field; None if it is part of a frame."""
        bits = _Bits(unit[1:])
        try:
            for _ in ("first_mb_in_slice", "slice_type", "pic_parameter_set_id"):
                bits.read_golomb()
            if self.separate_planes:
                bits.read(2)
            number = bits.read(self.number_bits)
            return (bool(bits.read(1)), number) if bits.read(1) else None
        except ValueError:
            return None


class _Bits:
    """Reads the bits of a NAL unit's payload.

    Args:
        content: the payload, with its emulation prevention bytes.
    """

    def __init__(self, content: bytes) -> None:
        content = content.replace(b"\0\0\3", b"\0\0")
        self._value = int.from_bytes(content, "big")
        self._left = 8 * len(content)

    def read(self, count: int) -> int:
        """Return the next bits as a number.

        Raises:
            ValueError: there are not so many.
        """
        if count > self._left:
            raise ValueError("the NAL unit ends too early")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def read_golomb(self) -> int:
        """Return the next Exp-Golomb code, as an unsigned number.

        Raises:
            ValueError: there is none.
        """
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > _MAX_ZEROS:
                raise ValueError("no Exp-Golomb code")
        return (1 << zeros) - 1 + self.read(zeros)


def _parse_sequence(unit: bytes) -> _Sequence | None:
    """Return what a sequence parameter set says; None if it is damaged."""
    bits = _Bits(unit[1:])
    try:
        profile = bits.read(8)
        bits.read(16)  # constraints and level
        bits.read_golomb()
        separate_planes = _skip_high_profile(bits) if profile in _HIGH_PROFILES else False
        number_bits = bits.read_golomb() + 4
        order = bits.read_golomb()
        if order == 0:
            bits.read_golomb()
        elif order == 1:
            bits.read(1)
            bits.read_golomb()
            bits.read_golomb()
            for _ in range(min(bits.read_golomb(), 255)):
                bits.read_golomb()
        bits.read_golomb()  # reference frames
        bits.read(1)  # whether frame numbers may have gaps
        bits.read_golomb()  # width
        bits.read_golomb()  # height
        return _Sequence(not bits.read(1), number_bits, separate_planes)
    except ValueError:
        return None


def _skip_high_profile(bits: _Bits) -> bool:
    """Read past the fields of high profiles; return whether the colour planes are separate."""
    chroma = bits.read_golomb()
    separate_planes = chroma == 3 and bool(bits.read(1))
    bits.read_golomb()  # bits of luma
    bits.read_golomb()  # bits of chroma
    bits.read(1)
    if bits.read(1):
        for index in range(8 if chroma != 3 else 12):
            if bits.read(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return separate_planes


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.read_golomb()
            delta = (code + 1) // 2 if code % 2 else -(code // 2)
            following = (last + delta) % 256
        last = following or last


def _split_at_start_codes(content: memoryview) -> list[memoryview]:
    """Return the NAL units of a byte stream, up to and with the first slice."""
    units: list[memoryview] = []
    data = bytes(content)
    start = data.find(_START_CODE)
    while start >= 0 and start + 3 < len(data):
        is_slice = data[start + 3] & 31 in _SLICES
        end = -1 if is_slice else data.find(_START_CODE, start + 3)
        units.append(content[start + 3 : end if end >= 0 else len(data)])
        start = end
    return units


def _split_by_length(content: memoryview, length_bytes: int) -> list[memoryview]:
    """Return the NAL units that are preceded by their lengths."""
    units: list[memoryview] = []
    start = 0
    while start + length_bytes < len(content):
        length = int.from_bytes(content[start : start + length_bytes], "big")
        start += length_bytes
        if length == 0 or start + length > len(content):
            break
        units.append(content[start : start + length])
        start += length
    return units
