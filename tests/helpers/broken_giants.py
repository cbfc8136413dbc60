"""Small files that declare images of tens or hundreds of millions of pixels."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Literal

from PIL import Image

from tests.helpers.broken_headers import with_screen

Outcome = Literal["fails", "answered", "either"]


def giants(gif: bytes) -> Iterator[tuple[str, bytes, Outcome]]:
    """Yield name, content and expected outcome of small files that declare huge images.

    Args:
        gif: a valid GIF file.
    """
    png, tiff, bomb = _png(30_000, 30_000), _tiff(30_000), jpeg((8, 8))
    frame = bomb.index(b"\xff\xc0") + 5
    bomb = bomb[:frame] + struct.pack(">HH", 65_000, 65_000) + bomb[frame + 4 :]
    bmp = b"BM" + struct.pack("<IIIIiiHHIIiiII", 154, 0, 54, 40, 30_000, 30_000, 1, 24, *[0] * 6)
    bombs = {"png": png, "tiff": tiff, "jpg": bomb, "bmp": bmp + bytes(100)}
    for kind, content in bombs.items():
        yield f"giant.{kind}", content, "fails"
    yield "giant.mjpeg", bomb * 20, "fails"
    yield "giant-later.mjpeg", jpeg((48, 32)) * 20 + bomb * 20, "either"
    for kind, codec in (("png", b"MPNG"), ("jpg", b"MJPG")):
        content = _avi(codec, [bombs[kind]] * 20, 30_000)
        yield f"giant-{kind}.avi", content, "fails"
    yield "giant-raw.avi", _avi(b"\0\0\0\0", [bytes(900)] * 20, 30_000), "fails"
    later = [_png(48, 32), *[_png(16_000, 16_000)] * 33]
    yield "giant-later.avi", _avi(b"MPNG", later, 48), "either"
    for width in (8_000, 40_000, 200_000):
        content = _avi(b"MPNG", [_png(width, 256)] * 500, 256)
        yield f"wide-{width}.avi", content, "either" if width < 10_000 else "fails"
    for width, height in ((65_535, 500), (30_000, 1_000), (16_000, 2_000)):
        content = with_screen(gif, width, height)
        yield f"wide-{width}.gif", content, "either"
    yield "wide.mjpeg", jpeg((32_000, 300)) * 34, "either"


def jpeg(size: tuple[int, int]) -> bytes:
    """Return a JPEG image of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, (200, 120, 40)).save(file, "jpeg")
    return file.getvalue()


def _png(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(height * ((width + 7) // 8 + 1)), 9)
    parts = [(b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def _tiff(side: int) -> bytes:
    tags = {256: side, 257: side, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: side, 279: side**2}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(100)


def _avi(codec: bytes, images: list[bytes], side: int) -> bytes:
    """Return an AVI file of these images that declares `side` × `side` pixels."""

    def part(name: bytes, content: bytes) -> bytes:
        return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)

    count = len(images)
    main = struct.pack("<14I", 40_000, 0, 0, 0, count, 0, 1, 0, side, side, 0, 0, 0, 0)
    stream = b"vids" + codec + struct.pack("<10I", 0, 0, 0, 1, 25, 0, count, 0, 0, 0) + bytes(8)
    shape = struct.pack("<IiiHH4sIiiII", 40, side, side, 1, 24, codec, 0, 0, 0, 0, 0)
    header = part(b"LIST", b"strl" + part(b"strh", stream) + part(b"strf", shape))
    body = b"movi" + b"".join(part(b"00dc", image) for image in images)
    lists = part(b"LIST", b"hdrl" + part(b"avih", main) + header) + part(b"LIST", body)
    return part(b"RIFF", b"AVI " + lists)
