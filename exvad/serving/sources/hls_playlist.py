"""Playlists of HTTP Live Streaming (RFC 8216), as far as watching a stream needs them."""

from __future__ import annotations

import re
from dataclasses import dataclass

MARK = "#EXTM3U"
MAX_SEGMENTS = 10_000
DEFAULT_TARGET = 6.0
MAX_TARGET = 60.0
ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')
SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")


class PlaylistError(ValueError):
    """A playlist can't be followed."""


@dataclass(frozen=True)
class Variant:
    """One of several qualities of a stream.

    Args:
        uri: address of its playlist, relative to the playlist that names it.
        bandwidth: bits per second.
        short_side: pixels; 0 if the playlist does not say.
    """

    uri: str
    bandwidth: int
    short_side: int


@dataclass(frozen=True)
class Segment:
    """A few seconds of a stream.

    Args:
        uri: address, relative to the playlist.
        number: increases by one from segment to segment.
        head: address of what stands before it, for fragmented MP4; empty for MPEG-TS.
    """

    uri: str
    number: int
    head: str


@dataclass(frozen=True)
class Playlist:
    """What a playlist says.

    Args:
        variants: playlists of other qualities; the others are empty then.
        segments: oldest first.
        target_seconds: longest duration of a segment.
        has_ended: whether no segment will follow.
    """

    variants: tuple[Variant, ...]
    segments: tuple[Segment, ...]
    target_seconds: float
    has_ended: bool


def parse_playlist(text: str) -> Playlist:
    """Read a playlist.

    Args:
        text: the whole playlist.

    Raises:
        PlaylistError: it is no playlist, or needs what is not supported.
    """
    lines = [line.strip() for line in text.splitlines()]
    if not lines or not lines[0].lstrip("\ufeff").startswith(MARK):
        raise PlaylistError("what answers at this address is no HLS playlist")
    variants, segments = list[Variant](), list[Segment]()
    number, target, head, waiting = 0, DEFAULT_TARGET, "", ""
    for line in lines[1:]:
        tag, _, value = line.partition(":")
        if tag == "#EXT-X-STREAM-INF":
            waiting = value
        elif tag == "#EXT-X-MEDIA-SEQUENCE":
            number = int(_read_number(value))
        elif tag == "#EXT-X-TARGETDURATION":
            target = min(max(_read_number(value), 0.5), MAX_TARGET)
        elif tag == "#EXT-X-MAP":
            head = _read_map(value)
        elif tag == "#EXT-X-KEY" and _attributes(value).get("METHOD") != "NONE":
            raise PlaylistError("the segments of the playlist are encrypted: this is not supported")
        elif tag == "#EXT-X-BYTERANGE":
            raise PlaylistError("the playlist names parts of files: this is not supported")
        elif line and not line.startswith("#"):
            if waiting:
                variants.append(_read_variant(line, waiting))
                waiting = ""
            else:
                segments.append(Segment(line, number, head))
                number += 1
    has_ended = "#EXT-X-ENDLIST" in lines
    return Playlist(tuple(variants), tuple(segments[-MAX_SEGMENTS:]), target, has_ended)


def choose_variant(variants: tuple[Variant, ...], short_side: int) -> Variant:
    """Return the smallest picture that need not be enlarged, or else the best quality.

    Args:
        variants: at least one.
        short_side: frames are scaled down to so many pixels.
    """
    enough = [variant for variant in variants if variant.short_side >= short_side]
    if enough:
        return min(enough, key=lambda variant: (variant.short_side, -variant.bandwidth))
    return max(variants, key=lambda variant: (variant.short_side, variant.bandwidth))


def _read_variant(uri: str, text: str) -> Variant:
    attributes = _attributes(text)
    bandwidth = attributes.get("BANDWIDTH", "")
    size = SIZE.fullmatch(attributes.get("RESOLUTION", ""))
    short_side = min(int(size[1]), int(size[2])) if size else 0
    return Variant(uri, int(bandwidth) if bandwidth.isdecimal() else 0, short_side)


def _read_map(text: str) -> str:
    attributes = _attributes(text)
    if "BYTERANGE" in attributes or not attributes.get("URI"):
        raise PlaylistError("the playlist names parts of files: this is not supported")
    return attributes["URI"]


def _read_number(text: str) -> float:
    found = re.match(r"\d{1,15}(\.\d{1,6})?", text)
    if found is None:
        raise PlaylistError("the playlist has a number that is none")
    return float(found[0])


def _attributes(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in ATTRIBUTE.findall(text)}
