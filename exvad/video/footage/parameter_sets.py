"""The parameter sets of H.264 and H.265 that a stream repeats among its frames.

A camera that changes its resolution sends other ones. FFmpeg keeps those of the beginning.
"""

from __future__ import annotations

import re

START_CODE = re.compile(rb"\x00\x00\x01")
H264, HEVC = "h264", "hevc"
_H264_SETS = (7, 8)
_HEVC_SETS = (32, 33, 34)
_LEADING = (b"\x00\x00\x01", b"\x00\x00\x00\x01")


def read_parameter_sets(codec: str, packet: bytes) -> bytes:
    """Return the parameter sets in a packet, with their start codes; empty without any.

    Args:
        codec: FFmpeg's name of the codec.
        packet: an encoded frame; only one with start codes (Annex B) has parameter sets.
    """
    if codec not in (H264, HEVC) or not packet.startswith(_LEADING):
        return b""
    found = b""
    starts = [match.end() for match in START_CODE.finditer(packet)]
    for start, following in zip(starts, [*starts[1:], len(packet) + 3], strict=True):
        unit = packet[start : following - 3].rstrip(b"\x00")
        if unit and _is_parameter_set(codec, unit[0]):
            found += b"\x00\x00\x00\x01" + unit
    return found


def _is_parameter_set(codec: str, first_byte: int) -> bool:
    if codec == H264:
        return first_byte & 0x1F in _H264_SETS
    return first_byte >> 1 & 0x3F in _HEVC_SETS
