"""An HLS stream as one body: its segments one after the other, as they appear in the playlist.

Every address that a playlist names is checked like the first one, and no FFmpeg reads a playlist.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from exvad.serving.sources.hls_playlist import (
    MARK,
    Playlist,
    PlaylistError,
    Segment,
    choose_variant,
    parse_playlist,
)

if TYPE_CHECKING:
    from exvad.serving.sources.fetch import Fetcher

MAX_PLAYLIST_BYTES = 2**21
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
FIRST_SEGMENTS = 3  # a player must not begin closer to the end of a live playlist
STALL_TARGETS = 10  # durations of a segment without a new one
MIN_STALL_SECONDS = 30.0


@dataclass
class Position:
    """How far a stream was read, over all connections.

    Args:
        number: number of the last segment; None before the first.
        head: address of what stands before the segments of this connection.
    """

    number: int | None = None
    head: str | None = None


async def read_start(parts: AsyncIterator[bytes]) -> bytes:
    """Return the first bytes of a body, enough to recognize a playlist.

    Args:
        parts: the body.
    """
    start = b""
    while len(start) < len(MARK) + 3:
        part = await anext(parts, b"")
        if not part:
            break
        start += part
    return start


def is_playlist(start: bytes) -> bool:
    """Whether a body that starts so is a playlist."""
    return start.removeprefix(BYTE_ORDER_MARK).startswith(MARK.encode())


class HlsReader:
    """Reads an HLS stream until its playlist ends.

    Args:
        fetcher: opens the addresses.
        short_side: frames are scaled down to so many pixels.
        position: how far the stream was read; it is updated.
        send: receives the bytes of the segments.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        short_side: int,
        position: Position,
        send: Callable[[bytes], None],
    ) -> None:
        self._fetcher, self._short_side = fetcher, short_side
        self._position, self._send = position, send
        position.head = None

    async def follow(self, address: str, content: bytes) -> None:
        """Send all segments from near the end of the playlist, or from where reading broke off.

        Args:
            address: of the playlist, after redirects.
            content: the playlist.

        Raises:
            ValueError: something can't be fetched, is not supported, or nothing new appears.
        """
        playlist = _parse(content)
        if playlist.variants:
            variant = choose_variant(playlist.variants, self._short_side)
            playlist, address = await self._fetch_playlist(urljoin(address, variant.uri))
            if playlist.variants:
                raise PlaylistError("the playlist names playlists that name playlists")
        clock = asyncio.get_running_loop().time
        newest = clock()
        while True:
            segments = self._new_segments(playlist)
            for segment in segments:
                await self._send_segment(address, segment)
                newest = clock()
            if playlist.has_ended:
                return
            stall = max(MIN_STALL_SECONDS, STALL_TARGETS * playlist.target_seconds)
            if clock() - newest > stall:
                raise PlaylistError(f"the playlist has had no new segment for {stall:.0f} s")
            await asyncio.sleep(playlist.target_seconds / 2)
            playlist, address = await self._fetch_playlist(address)

    def _new_segments(self, playlist: Playlist) -> list[Segment]:
        segments = list(playlist.segments)
        last = self._position.number
        has_restarted = bool(segments) and last is not None and segments[-1].number < last
        if last is None or has_restarted:
            return segments if playlist.has_ended else segments[-FIRST_SEGMENTS:]
        return [segment for segment in segments if segment.number > last]

    async def _send_segment(self, address: str, segment: Segment) -> None:
        if self._position.head is None:
            self._position.head = segment.head
            if segment.head:
                await self._copy(urljoin(address, segment.head))
        elif self._position.head != segment.head:
            raise PlaylistError("the playlist goes on in another format, which is opened anew")
        await self._copy(urljoin(address, segment.uri))
        self._position.number = segment.number

    async def _copy(self, address: str) -> None:
        async with self._fetcher.open(address) as parts:
            async for part in parts:
                self._send(part)

    async def _fetch_playlist(self, address: str) -> tuple[Playlist, str]:
        async with self._fetcher.open_located(address) as (location, parts):
            return _parse(await read_rest(b"", parts)), location


async def read_rest(start: bytes, parts: AsyncIterator[bytes]) -> bytes:
    """Return a whole playlist.

    Args:
        start: what was read already.
        parts: the rest.

    Raises:
        PlaylistError: it is too long.
    """
    async for part in parts:
        start += part
        if len(start) > MAX_PLAYLIST_BYTES:
            raise PlaylistError("the playlist is longer than any should be")
    return start


def _parse(content: bytes) -> Playlist:
    return parse_playlist(content.decode("utf-8", "replace"))
