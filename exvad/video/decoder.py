"""Who decodes a video file: this process, or one of its own (`exvad.video.sandbox`)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from exvad.video.chunks import Chunk, VideoInfo, plan_chunks
from exvad.video.decoding import DecodedChunk, decode_chunk


class Decoder(Protocol):
    """Cuts video files into chunks and decodes them."""

    def plan(
        self, video_id: str, path: str | Path, stride: int, snippets_per_chunk: int
    ) -> tuple[VideoInfo, list[Chunk]]:
        """Cut a video into chunks; see `exvad.video.chunks.plan_chunks`."""
        ...

    def decode(self, chunk: Chunk, short_side: int | None = None) -> DecodedChunk:
        """Decode a chunk; see `exvad.video.decoding.decode_chunk`."""
        ...


class PlainDecoder:
    """Decodes in this process: right for files one trusts."""

    def plan(
        self, video_id: str, path: str | Path, stride: int, snippets_per_chunk: int
    ) -> tuple[VideoInfo, list[Chunk]]:
        """Cut a video into chunks; see `exvad.video.chunks.plan_chunks`."""
        return plan_chunks(video_id, path, stride, snippets_per_chunk)

    def decode(self, chunk: Chunk, short_side: int | None = None) -> DecodedChunk:
        """Decode a chunk; see `exvad.video.decoding.decode_chunk`."""
        return decode_chunk(chunk, short_side)
