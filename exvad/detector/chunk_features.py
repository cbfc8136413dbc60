"""Features and captioned frames of a video, collected chunk by chunk.

T snippets · t snippets of a chunk · D feature width
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from exvad.aegm.captioning import caption_clips

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.aegm.chunk_task import ChunkTask
    from exvad.encoders.protocols import Captioner
    from exvad.video.container import VideoError
    from exvad.video.decoding import DecodedChunk


class ChunkFeatures:
    """Collects the chunks of a video in order; failed chunks get the features of the nearest frame.

    Attributes:
        problems: what could not be read and was replaced.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._clips: list[tuple[int, NDArray[np.uint8]]] = []  # of the captioned snippets
        self._chunks: list[NDArray[np.float16] | int] = []  # features, or the length of a failure
        self._error: VideoError | None = None

    def add_captioned_clips(self, task: ChunkTask, decoded: DecodedChunk, num_frames: int) -> None:
        """Add the clips of a chunk that are captioned; see `ChunkTask.captioned_clips`."""
        clips = task.captioned_clips(decoded, num_frames)
        self._clips += zip(task.captioned, clips, strict=True)

    def add_guided_clips(self, clips: Iterable[tuple[int, NDArray[np.uint8]]]) -> None:
        """Add clips that a first look chose, each with its snippet."""
        self._clips += clips
        self._clips.sort(key=lambda chosen: chosen[0])

    @property
    def captioned_snippets(self) -> list[int]:
        """Indices of the snippets whose frames are captioned, ascending."""
        return [snippet for snippet, _ in self._clips]

    def add(self, decoded: DecodedChunk, visual_tD: NDArray[np.float16]) -> None:
        """Add the image features of a chunk."""
        self._chunks.append(visual_tD)
        self.problems += decoded.problems

    def add_failed(self, task: ChunkTask, error: VideoError) -> None:
        """Add a chunk that could not be decoded."""
        self._chunks.append(task.chunk.num_snippets)
        self.problems.append(f"{error.reason}; the nearest frames stand in")
        self._error = self._error or error

    def visual(self) -> NDArray[np.float16]:
        """Return the image features of the whole video, [T, D].

        Raises:
            VideoError: every chunk failed.
        """
        arrays = {
            index: chunk for index, chunk in enumerate(self._chunks) if not isinstance(chunk, int)
        }
        if not arrays:
            assert self._error is not None
            raise self._error
        return np.concatenate(
            [
                _nearest_rows(arrays, index, chunk) if isinstance(chunk, int) else chunk
                for index, chunk in enumerate(self._chunks)
            ]
        )

    def caption(self, captioner: Captioner) -> list[str]:
        """Caption the added clips, all consecutive clips of one size in one call."""
        captions: list[str] = []
        clips_in_order = [clip_fHWC for _, clip_fHWC in self._clips]
        for _, clips in groupby(clips_in_order, key=lambda clip_fHWC: clip_fHWC.shape):
            captions += caption_clips(captioner, list(clips))
        return captions


def _nearest_rows(
    arrays: dict[int, NDArray[np.float16]], index: int, count: int
) -> NDArray[np.float16]:
    """Repeat the nearest row of the nearest chunk, [count, D].

    Args:
        arrays: index of a chunk → its features; of the decoded chunks.
        index: index of the failed chunk.
        count: its number of snippets.
    """
    nearest = min(arrays, key=lambda other: abs(other - index))
    row_1D = arrays[nearest][-1:] if nearest < index else arrays[nearest][:1]
    return np.repeat(row_1D, count, axis=0)
