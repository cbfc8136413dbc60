"""What of a file is not read: a recording that was joined to another of the same format.

FFmpeg takes the header of the second one for the end of the file, or, in MP4 and ASF, reads only
what the first index and the first data object name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

if TYPE_CHECKING:
    from av.container import InputContainer

# Formats that end where another header begins, although the file goes on.
_ENDED_FORMATS = ("flv", "matroska,webm")
_UNREAD_SHARE = 0.1  # of a file behind its last frame, from which on it is more than an index
_MIB = 1 << 20  # of a file behind its last frame, from which on it is worth a look
_MAX_PARTS = 256  # boxes or objects of a file that are looked at
_Y4M_HEADER = b"YUV4MPEG2 "
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")

_ReadAt = Callable[[int, int], bytes]  # up to so many bytes (second argument) from an offset


class _Part(NamedTuple):
    """A box of MP4 or an object of ASF: its kind and its first byte."""

    kind: bytes
    start: int


def describe_end(container: InputContainer, end: int) -> list[str]:
    """Return a note if a file has another recording, or much else, behind its last frame.

    Args:
        container: the file, all of whose packets have been read.
        end: bytes up to the end of the last packet; 0 if that is unknown.
    """
    if not end:
        return []
    size = container.size
    unread = _unread_from(container, end, size) if end < size else None
    if unread is None:
        return []
    return [
        f"its video ends at byte {unread:,} of {size:,}; what follows, such as a second recording "
        "that was joined to it, is not read: split the file or convert it to MPEG-TS"
    ]


def _unread_from(container: InputContainer, end: int, size: int) -> int | None:
    """Return the first byte that is not read; None if nothing of importance is left."""
    name = container.format.name
    is_much = size - end > _UNREAD_SHARE * size
    if name in _ENDED_FORMATS:
        return end if is_much else None
    if name == "yuv4mpegpipe":
        with _reading(container) as read_at:
            return end if read_at(end, len(_Y4M_HEADER)) == _Y4M_HEADER else None
    if not is_much and size - end < _MIB:
        return None
    if name.startswith("mov,mp4"):
        with _reading(container) as read_at:
            return _second(_boxes(read_at), (b"ftyp", b"moov"), end)
    if name == "asf":
        with _reading(container) as read_at:
            return _second(_asf_objects(read_at), (_ASF_HEADER,), 0)
    return None


@contextlib.contextmanager
def _reading(container: InputContainer) -> Iterator[_ReadAt]:
    """Yield a function that reads the content of a file that FFmpeg has read to its end."""
    with contextlib.ExitStack() as stack:
        if container.file is None:
            path = container.name.removeprefix("file:")
            file: BinaryIO = stack.enter_context(open(path, "rb"))  # noqa: PTH123 - any name
        else:
            file = cast("BinaryIO", container.file.file)

        def read_at(offset: int, count: int) -> bytes:
            if offset >= container.size:  # a length in the file is wrong
                return b""
            file.seek(offset)
            return file.read(count)

        yield read_at


def _second(parts: Iterator[_Part], kinds: tuple[bytes, ...], end: int) -> int | None:
    """Return where the first part begins that occurs only once in one recording, but again here.

    Args:
        parts: the parts of the file, in order.
        kinds: the kinds that occur once.
        end: bytes that are read in any case.
    """
    seen: set[bytes] = set()
    for part in parts:
        if part.kind in seen and part.start >= end:
            return part.start
        if part.kind in kinds:
            seen.add(part.kind)
    return None


def _boxes(read_at: _ReadAt) -> Iterator[_Part]:
    """Yield the top-level boxes of an MP4 or MOV file."""
    start = 0
    for _ in range(_MAX_PARTS):
        head = read_at(start, 16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if len(head) < 8 or length < 8:  # the end, or a box up to it
            return
        yield _Part(head[4:8], start)
        start += length


def _asf_objects(read_at: _ReadAt) -> Iterator[_Part]:
    """Yield the top-level objects of an ASF file."""
    start = 0
    for _ in range(_MAX_PARTS):
        head = read_at(start, 24)
        length = int.from_bytes(head[16:], "little")
        if len(head) < 24 or length < 24:
            return
        yield _Part(head[:16], start)
        start += length
