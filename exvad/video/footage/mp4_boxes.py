"""The few boxes of a fragmented MP4 (ISO/IEC 14496-12) that place a fragment in time.

Only bytes are read and written here, by Python: fragments that a hostile stream made can be put
together without FFmpeg.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

HEADER_BYTES = 8
MOVIE, TRACK, TRACK_HEADER = b"moov", b"trak", b"tkhd"
MEDIA, MEDIA_HEADER = b"mdia", b"mdhd"
FRAGMENT, FRAGMENT_HEADER = b"moof", b"mfhd"
TRACK_FRAGMENT, TRACK_FRAGMENT_HEADER, DECODE_TIME = b"traf", b"tfhd", b"tfdt"
DATA = b"mdat"


class BoxError(ValueError):
    """A file is no fragmented MP4 as this program writes it."""


def split_file(content: bytes) -> tuple[bytes, bytes]:
    """Split a file with one fragment.

    Args:
        content: the whole file.

    Returns:
        What stands at the beginning of every file of these tracks, and the fragment.

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


def read_timescales(head: bytes) -> dict[int, int]:
    """Return the ticks per second of each track by its number, in the order of the tracks.

    Args:
        head: the beginning of a file; see `split_file`.

    Raises:
        BoxError: a track says none.
    """
    scales = {}
    for track in _find_all(head, _find(head, MOVIE), TRACK):
        number = _read_after_times(head, _find(head, TRACK_HEADER, within=track))
        ticks = _read_after_times(head, _find(head, MEDIA, MEDIA_HEADER, within=track))
        if not ticks:
            raise BoxError("a track has no time scale")
        scales[number] = ticks
    if not scales:
        raise BoxError("the file has no track")
    return scales


def place_fragment(
    fragment: bytes, number: int, seconds: float, scales: Mapping[int, int]
) -> bytes:
    """Return a fragment that begins at another time.

    Args:
        fragment: see `split_file`.
        number: its place in the file, from 1.
        seconds: when its first track begins; the others keep their distance from it.
        scales: ticks per second of each track.

    Raises:
        BoxError: it has no such times.
    """
    start, end = _find(fragment, FRAGMENT, FRAGMENT_HEADER)
    if end - start != 8:
        raise BoxError("the fragment has no number")
    numbered = fragment[: start + 4] + number.to_bytes(4, "big") + fragment[end:]
    first, *others = _decode_times(fragment, scales)
    moved = round(seconds * first.scale) - first.ticks
    places = [(item, round(Fraction(moved * item.scale, first.scale))) for item in others]
    return _move(numbered, [(first, moved), *places])


def delay_second_track(fragment: bytes, seconds: float, scales: Mapping[int, int]) -> bytes:
    """Return a fragment whose second track begins later; the same if it has one track.

    Args:
        fragment: see `split_file`.
        seconds: how much later.
        scales: ticks per second of each track.

    Raises:
        BoxError: it has no such times.
    """
    _, *others = _decode_times(fragment, scales)
    return _move(fragment, [(item, round(seconds * item.scale)) for item in others])


class _DecodeTime(NamedTuple):
    """When a track of a fragment begins: where that stands, in ticks, and how many are a second."""

    start: int
    ticks: int
    scale: int


def _decode_times(fragment: bytes, scales: Mapping[int, int]) -> list[_DecodeTime]:
    times = []
    for track in _find_all(fragment, _find(fragment, FRAGMENT), TRACK_FRAGMENT):
        start, _ = _find(fragment, TRACK_FRAGMENT_HEADER, within=track)
        scale = scales.get(int.from_bytes(fragment[start + 4 : start + 8], "big"))
        if scale is None:
            raise BoxError("the fragment has a track that the file does not have")
        start, end = _find(fragment, DECODE_TIME, within=track)
        if end - start != 12 or fragment[start] != 1:
            raise BoxError("the fragment has no time of 64 bits")
        times.append(
            _DecodeTime(start + 4, int.from_bytes(fragment[start + 4 : end], "big"), scale)
        )
    if not times:
        raise BoxError("the fragment has no track")
    return times


def _move(fragment: bytes, moves: Sequence[tuple[_DecodeTime, int]]) -> bytes:
    """Return a fragment whose tracks begin so many ticks later."""
    moved = bytearray(fragment)
    for item, ticks in moves:
        placed = item.ticks + ticks
        if not 0 <= placed < 2**63:
            raise BoxError("the fragment has a time that no file has")
        moved[item.start : item.start + 8] = placed.to_bytes(8, "big")
    return bytes(moved)


def _read_after_times(content: bytes, box: tuple[int, int]) -> int:
    """Return the number after the two times, of 64 or of 32 bits, with which a box begins."""
    start, end = box
    at = start + (20 if content[start] == 1 else 12)
    if at + 4 > end:
        raise BoxError("a header is too short")
    return int.from_bytes(content[at : at + 4], "big")


def _find_all(content: bytes, within: tuple[int, int], kind: bytes) -> list[tuple[int, int]]:
    """Return where the content of each box of a kind begins and ends."""
    return [(start, end) for name, start, end in _boxes(content, *within) if name == kind]


def _find(content: bytes, *path: bytes, within: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return where the content of a box begins and ends; the path leads to it."""
    start, end = within or (0, len(content))
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
