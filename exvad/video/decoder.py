"""The protocol of decoders, and the one that decodes in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from exvad.video.chunks import Chunk, plan_chunks
from exvad.video.container import DEFAULT_FPS
from exvad.video.decoding import DecodedChunk, decode_chunk
from exvad.video.survey import VideoInfo


class Decoder(Protocol):
    """Splits video files into chunks and decodes them."""

    def plan(
        self,
        video_id: str,
        path: str | Path,
        stride: int,
        snippets_per_chunk: int,
        stride_seconds: float = 0.0,
        folder_fps: float = DEFAULT_FPS,
    ) -> tuple[VideoInfo, list[Chunk]]:
        """Split a video into chunks; see `exvad.video.chunks.plan_chunks`."""
        ...

    def decode(self, chunk: Chunk, short_side: int | None = None) -> DecodedChunk:
        """Decode a chunk; see `exvad.video.decoding.decode_chunk`."""
        ...


class InProcessDecoder:
    """Decodes in this process, without limits: for trusted files.

    `exvad.video.sandbox.DecodingProcess` decodes untrusted files.
    """

    def plan(
        self,
        video_id: str,
        path: str | Path,
        stride: int,
        snippets_per_chunk: int,
        stride_seconds: float = 0.0,
        folder_fps: float = DEFAULT_FPS,
    ) -> tuple[VideoInfo, list[Chunk]]:
        """Split a video into chunks; see `exvad.video.chunks.plan_chunks`."""
        return plan_chunks(video_id, path, stride, snippets_per_chunk, stride_seconds, folder_fps)

    def decode(self, chunk: Chunk, short_side: int | None = None) -> DecodedChunk:
        """Decode a chunk; see `exvad.video.decoding.decode_chunk`."""
        return decode_chunk(chunk, short_side)
