"""The few boxes of a fragmented MP4 (ISO/IEC 14496-12) that place a fragment in time.

Only bytes are read and written here, by Python: fragments that a hostile stream made can be put
together without FFmpeg.
"""

from __future__ import annotations

from collections.abc import Iterator

HEADER_BYTES = 8
MOVIE, TRACK, MEDIA, MEDIA_HEADER = b"moov", b"trak", b"mdia", b"mdhd"
FRAGMENT, FRAGMENT_HEADER, TRACK_FRAGMENT, DECODE_TIME = b"moof", b"mfhd", b"traf", b"tfdt"
DATA = b"mdat"


class BoxError(ValueError):
    """A file is no fragmented MP4 of one track, as this program writes it."""


def split_file(content: bytes) -> tuple[bytes, bytes]:
    """Split a file with one fragment.

    Args:
        content: the whole file.

    Returns:
        What stands at the beginning of every file of the track, and the fragment.

    Raises:
        BoxError: it has no beginning, or no fragment.
    """
    head, fragment = b"", b""
    for kind, start, end in _boxes(content, 0, len(content)):
        whole = content[start - HEADER_BYTES : end]
        if kind in (FRAGMENT, DATA):
            fragment += whole
        elif not fragment:
            head += whole
    if not head or not fragment:
        raise BoxError("the file has no fragment")
    return head, fragment


def read_timescale(head: bytes) -> int:
    """Return the ticks per second of the only track.

    Args:
        head: the beginning of a file; see `split_file`.

    Raises:
        BoxError: it says none.
    """
    start, end = _find(head, MOVIE, TRACK, MEDIA, MEDIA_HEADER)
    at = start + (20 if head[start] == 1 else 12)  # after two times of 64 or of 32 bits
    ticks = int.from_bytes(head[at : at + 4], "big")
    if at + 4 > end or not ticks:
        raise BoxError("the track has no time scale")
    return ticks


def place_fragment(fragment: bytes, number: int, ticks: int) -> bytes:
    """Return a fragment that begins at another time.

    Args:
        fragment: see `split_file`.
        number: its place in the file, from 1.
        ticks: when it begins, in ticks of the track, 0 to 2**63.

    Raises:
        BoxError: it has no such times.
    """
    placed = bytearray(fragment)
    start, end = _find(fragment, FRAGMENT, FRAGMENT_HEADER)
    if end - start != 8:
        raise BoxError("the fragment has no number")
    placed[start + 4 : end] = number.to_bytes(4, "big")
    start, end = _find(fragment, FRAGMENT, TRACK_FRAGMENT, DECODE_TIME)
    if end - start != 12 or fragment[start] != 1:
        raise BoxError("the fragment has no time of 64 bits")
    placed[start + 4 : end] = ticks.to_bytes(8, "big")
    return bytes(placed)


def _find(content: bytes, *path: bytes) -> tuple[int, int]:
    """Return where the content of a box begins and ends; the path leads to it."""
    start, end = 0, len(content)
    for name in path:
        found = (item for item in _boxes(content, start, end) if item[0] == name)
        _, start, end = next(found, (b"", 0, 0))
        if start == end:
            raise BoxError(f"there is no box {name.decode()}")
    return start, end


def _boxes(content: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, begin and end of the content of each box."""
    while start < end:
        size = int.from_bytes(content[start : start + 4], "big")
        kind = content[start + 4 : start + HEADER_BYTES]
        if size < HEADER_BYTES or start + size > end:
            raise BoxError("a box has no valid size")
        yield kind, start + HEADER_BYTES, start + size
        start += size
