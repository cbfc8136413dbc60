"""One chunk of a video to encode, with the facts about its video that belong in the row.

c captioned snippets · f frames per clip · H, W height and width
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.video.chunks import Chunk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.video.decoding import DecodedChunk


@dataclass(frozen=True)
class ChunkTask:
    """One chunk to encode, with the facts about its video that belong in the row.

    Args:
        chunk: the frames.
        num_chunks: number of chunks of the video.
        num_frames: number of frames of the video.
        fps: frames per second of the video.
        captioned: indices within the video of the snippets to caption, ascending.
        captions: captions T_i of these snippets, if a separate captioning stage wrote them.
        movable: those of `captioned` that may move to where a first look finds something; see
            `exvad.aegm.caption_placement`.
    """

    chunk: Chunk
    num_chunks: int
    num_frames: int
    fps: float
    captioned: tuple[int, ...]
    captions: tuple[str, ...] | None = None
    movable: tuple[int, ...] = ()

    def to_row(self) -> dict[str, Any]:
        """Return the task as plain values, to send it between processes."""
        return {
            "chunk": self.chunk.to_row(),
            "num_chunks": self.num_chunks,
            "num_frames": self.num_frames,
            "fps": self.fps,
            "captioned": list(self.captioned),
            "captions": None if self.captions is None else list(self.captions),
            "movable": list(self.movable),
        }

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> ChunkTask:
        """Rebuild a task from `to_row`."""
        return cls(
            Chunk.from_row(row["chunk"]),
            row["num_chunks"],
            row["num_frames"],
            row["fps"],
            tuple(row["captioned"]),
            None if row["captions"] is None else tuple(row["captions"]),
            tuple(row["movable"]),
        )

    def with_captions(self, captions: Mapping[str, str]) -> ChunkTask:
        """Return the task with its captions, or unchanged if any of them is missing.

        Args:
            captions: index of a snippet within the video, as text → its caption.
        """
        indices = [str(snippet) for snippet in self.captioned]
        if not all(index in captions for index in indices):
            return self
        return replace(self, captions=tuple(captions[index] for index in indices))

    def at_even_places(self) -> ChunkTask:
        """Return the task with only the captions that do not move."""
        even = tuple(snippet for snippet in self.captioned if snippet not in self.movable)
        return replace(self, captioned=even, movable=())

    def captioned_clips(self, decoded: DecodedChunk, num_frames: int) -> NDArray[np.uint8]:
        """Return the clips to caption: each captioned snippet's frame between its neighbours.

        Args:
            decoded: the frames of the chunk.
            num_frames: frames per clip. A clip at an end of the chunk contains more frames from one
                side, and a shorter chunk is a clip as a whole.

        Returns:
            uint8 [c, f, H, W, 3] with f = min(`num_frames`, frames of the chunk).
        """
        num_frames = min(num_frames, len(decoded.frames))
        last_start = len(decoded.frames) - num_frames
        centres_c = np.array(self.captioned, int) - self.chunk.first_snippet
        starts_c = (centres_c - (num_frames - 1) // 2).clip(0, last_start)
        return decoded.frames[starts_c[:, None] + np.arange(num_frames)]
