"""Wrong headers: MP4, AVI, Matroska, FLV, GIF and TS files with single fields changed."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

Field = tuple[str, int, str, Sequence[object]]
# Fields of MP4 boxes: type of the box, offset from the end of the type, struct code, values.
_MP4: list[Field] = [
    ("mvhd", 12, ">I", [0, 1, 2**31, 2**32 - 1]),
    ("mvhd", 16, ">I", [0, 2**31, 2**32 - 1]),
    ("tkhd", 20, ">I", [0, 2**32 - 1]),
    ("tkhd", 40, ">i", [0, 1, -(2**31)]),
    ("tkhd", 76, ">I", [0, 30_000 << 16, 2**32 - 1]),
    ("mdhd", 12, ">I", [0, 1, 2**31, 2**32 - 1]),
    ("mdhd", 16, ">I", [0, 2**32 - 1]),
    ("elst", 4, ">I", [0, 1000, 2**32 - 1]),
    ("elst", 8, ">I", [0, 2**32 - 1]),
    ("elst", 12, ">i", [-1, -2, 2**31 - 1]),
    ("stsd", 4, ">I", [0, 1000, 2**32 - 1]),
    ("stsd", 8, ">I", [0, 8, 2**31, 2**32 - 1]),
    (
        "stsd",
        12,
        "4s",
        [b"mp4a", b"rtp ", b"text", b"rtmd", b"png ", b"hvc1", b"raw ", b"\0\0\0\0"],
    ),
    ("stsd", 40, ">HH", [(0, 0), (1, 1), (30_000, 30_000), (65_535, 65_535)]),
    ("avcC", 1, ">I", [0, 2**32 - 1]),
    ("avcC", 5, ">H", [0, 0xFFFF]),
    ("stts", 4, ">I", [0, 2, 2**28, 2**32 - 1]),
    ("stts", 8, ">I", [0, 1, 2**31, 2**32 - 1]),
    ("stts", 12, ">i", [0, -1, 2**31 - 1, -(2**31)]),
    ("stsc", 4, ">I", [0, 2**28, 2**32 - 1]),
    ("stsc", 12, ">I", [0, 1, 2**31, 2**32 - 1]),
    ("stsz", 4, ">I", [1, 2**31, 2**32 - 1]),
    ("stsz", 8, ">I", [0, 2**28, 2**32 - 1]),
    ("stsz", 12, ">I", [0, 2**31 - 1, 2**32 - 1]),
    ("stco", 4, ">I", [0, 2**28, 2**32 - 1]),
    ("stco", 8, ">I", [0, 7, 2**32 - 1]),
    ("stss", 4, ">I", [0, 2**28, 2**32 - 1]),
    ("stss", 8, ">I", [0, 33, 2**32 - 1]),
    ("hdlr", 8, "4s", [b"soun", b"text", b"hint", b"\0\0\0\0"]),
    ("dref", 12, "4s", [b"alis", b"rsrc"]),
    ("ftyp", 0, "4s", [b"qt  ", b"avif", b"heic"]),
    *[(name, -8, ">I", [0, 1, 7, 2**31, 2**32 - 1]) for name in ("ftyp", "moov", "trak", "stbl")],
    *[(name, -8, ">I", [0, 1, 2**32 - 1]) for name in ("mdat", "mdia", "minf", "stsz", "avcC")],
]
# The same for AVI: name of the chunk, offset from the end of the name.
_AVI: list[Field] = [
    ("RIFF", -4, "<I", [0, 2**31, 2**32 - 1]),
    ("avih", 4, "<I", [0, 1, 2**32 - 1]),
    ("avih", 20, "<I", [0, 2**31, 2**32 - 1]),
    ("avih", 28, "<I", [0, 200, 2**32 - 1]),
    ("strh", 4, "4s", [b"auds", b"txts", b"iavs", b"\0\0\0\0"]),
    ("strh", 24, "<I", [0, 2**31, 2**32 - 1]),
    ("strh", 28, "<I", [0, 1, 2**31, 2**32 - 1]),
    ("strh", 32, "<I", [2**31, 2**32 - 1]),
    ("strh", 36, "<I", [0, 2**32 - 1]),
    ("strh", 48, "<I", [1, 2**32 - 1]),
    ("strf", 0, "<I", [0, 2**31, 2**32 - 1]),
    ("strf", 8, "<ii", [(0, 0), (30_000, 30_000), (-1, -1), (2**31 - 1, -(2**31))]),
    ("strf", 18, "<H", [0, 1, 255]),
    ("strf", 20, "4s", [b"\0\0\0\0", b"H264", b"MPNG", b"tscc", b"RV40", b"dvsd"]),
    ("00dc", 0, "<I", [0, 2**31, 2**32 - 1]),
    ("idx1", 0, "<I", [0, 2**31, 2**32 - 1]),
    ("idx1", 12, "<I", [0, 2**32 - 1]),
]
# Ids of Matroska elements whose value is overwritten.
_MATROSKA = {
    "TimestampScale": bytes.fromhex("2ad7b1"),
    "Duration": bytes.fromhex("4489"),
    "DefaultDuration": bytes.fromhex("23e383"),
    "PixelWidth": bytes.fromhex("b0"),
    "PixelHeight": bytes.fromhex("ba"),
    "TrackType": bytes.fromhex("83"),
    "TrackNumber": bytes.fromhex("d7"),
    "ClusterTimestamp": bytes.fromhex("e7"),
    "DocTypeReadVersion": bytes.fromhex("4285"),
}
# Ids of Matroska elements whose size is overwritten.
_MATROSKA_SIZES = {
    "EBML": bytes.fromhex("1a45dfa3"),
    "Segment": bytes.fromhex("18538067"),
    "Tracks": bytes.fromhex("1654ae6b"),
    "Cluster": bytes.fromhex("1f43b675"),
    "SimpleBlock": bytes.fromhex("a3"),
    "CodecPrivate": bytes.fromhex("63a2"),
}
_FLOATS = [float("nan"), float("inf"), -1.0, 1e300]
SIZES = [0, 1, 2**31, 2**56 - 2, 2**63 - 1]


def mp4_lies(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield names and copies of an MP4 file, each with one field changed."""
    yield from _fields(content, _MP4)
    for size in SIZES:
        at = content.index(b"mdat") - 4
        large = struct.pack(">I4sQ", 1, b"mdat", size)
        yield f"mdat-large-{size}", content[:at] + large + content[at + 8 :]


def avi_lies(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield names and copies of an AVI file, each with one field changed."""
    yield from _fields(content, _AVI)


def matroska_lies(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield names and copies of a Matroska file, each with one element changed."""
    begin = content.index(_MATROSKA_SIZES["Segment"])
    for name, mark in _MATROSKA.items():
        at = content.find(mark, 0 if name.startswith("Doc") else begin)
        if at < 0:
            continue
        start = at + len(mark) + 1
        count = content[start - 1] & 0x7F
        values = [bytes(count), b"\x01".rjust(count, b"\0"), b"\xff" * count]
        if name == "Duration":
            values = [struct.pack(">d" if count == 8 else ">f", min(v, 1e38)) for v in _FLOATS]
        for number, value in enumerate(values):
            yield f"{name}-{number}", content[:start] + value + content[start + count :]
    for name, mark in _MATROSKA_SIZES.items():
        at = content.find(mark, 0 if name == "EBML" else begin)
        if at < 0:
            continue
        after = at + len(mark)
        width = 9 - content[after].bit_length()
        for size in (0, 2**40, 2**56 - 2, 2**56 - 1):
            large = struct.pack(">Q", (1 << 56) | size)
            yield f"{name}-size-{size}", content[:after] + large + content[after + width :]


def flv_lies(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield names and copies of an FLV file, each with one field changed."""
    first_tag = 13
    video = first_tag + 11 + int.from_bytes(content[first_tag + 1 : first_tag + 4], "big") + 4
    for tag in (first_tag, video):
        for number, size in enumerate((0, 1, 2**24 - 1)):
            yield f"tag-{tag}-size-{number}", _put(content, tag + 1, size.to_bytes(3, "big"))
        for number, time in enumerate((b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\x80")):
            yield f"tag-{tag}-time-{number}", _put(content, tag + 4, time)
    for kind in (0, 8, 18, 255):
        yield f"kind-{kind}", _put(content, video, bytes([kind]))
    for codec in range(16):
        yield f"codec-{codec}", _put(content, video + 11, bytes([0x10 | codec]))
    for number, value in enumerate((*_FLOATS, 30_000.0)):
        changed = content
        for field in (b"duration", b"width", b"height", b"framerate", b"filesize"):
            at = content.find(field + b"\0")
            if at >= 0:
                changed = _put(changed, at + len(field) + 1, struct.pack(">d", value))
        yield f"metadata-{number}", changed


def gif_lies(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield names and copies of a GIF file, each with one field changed."""
    for width, height in ((0, 0), (1, 65_535), (65_535, 256), (30_000, 30_000), (65_535, 65_535)):
        yield f"screen-{width}-{height}", _put(content, 6, struct.pack("<HH", width, height))
    delay = content.index(b"\x21\xf9\x04") + 4
    for value in (0, 1, 65_535):
        yield f"delay-{value}", _put(content, delay, struct.pack("<H", value))
    picture = content.index(b"\x2c", delay)
    for size in ((0, 0), (65_535, 65_535)):
        yield f"picture-{size[0]}", _put(content, picture + 5, struct.pack("<HH", *size))


def with_screen(content: bytes, width: int, height: int) -> bytes:
    """Return a copy of a GIF file that declares a screen of this size."""
    return _put(content, 6, struct.pack("<HH", width, height))


def ts_lies(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield names and copies of a transport stream with a jumping clock or wrong packets."""
    starts = [at for at in range(0, len(content) - 188, 188) if b"\0\0\1\xe0" in content[at:][:188]]
    for share in (4, 2):
        changed = bytearray(content)
        for at in starts[:: share // 2]:
            clock = content.index(b"\0\0\1\xe0", at) + 9
            changed[clock : clock + 5] = b"\x2f\xff\xff\xff\xff" if share == 4 else b"\x21\0\1\0\1"
        yield f"clock-{share}", bytes(changed)
    yield "reversed", b"".join(content[at : at + 188] for at in range(0, len(content), 188)[::-1])
    yield "shifted", content[1:]
    yield "twice", content + content
    yield "no-tables", b"".join(content[at : at + 188] for at in starts)
    yield "only-tables", content[: 188 * 3] * 300


def _fields(content: bytes, fields: list[Field]) -> Iterator[tuple[str, bytes]]:
    """Yield names and copies of a file, each with one field changed."""
    for name, offset, code, values in fields:
        at = content.find(name.encode())
        if at < 0:
            continue
        for value in values:
            values_of_field = value if isinstance(value, tuple) else (value,)
            start = at + len(name) + offset
            if start + struct.calcsize(code) <= len(content):
                shown = "-".join(
                    part.hex() if isinstance(part, bytes) else str(part) for part in values_of_field
                )
                packed = struct.pack(code, *values_of_field)
                yield f"{name}{offset:+}={shown}", _put(content, start, packed)


def _put(content: bytes, at: int, value: bytes) -> bytes:
    """Return the content with `value` at the offset `at`."""
    return content[:at] + value + content[at + len(value) :]
