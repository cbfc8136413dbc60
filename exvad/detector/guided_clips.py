"""The clips of a video that a first look chooses for captions, with few of them in memory.

t snippets of a chunk · f frames per caption · H, W pixels · D feature width
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from exvad.aegm.caption_placement import best_of_cells, novelty

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.aegm.chunk_task import ChunkTask
    from exvad.video.decoding import DecodedChunk

_CELL = 4  # snippets at most: one caption of an event says too little among many of the rest

SnippetScores = Callable[["NDArray[np.float16]"], "NDArray[np.float32]"]


class GuidedClips:
    """Keeps the clips of the highest scores while a video goes by.

    Args:
        tasks: the chunks of the video; all their movable captions together are chosen anew.
        score: scores the image features of a chunk; None for their novelty, compared with the mean
            of the video so far.
    """

    def __init__(self, tasks: Sequence[ChunkTask], score: SnippetScores | None = None) -> None:
        self._count = sum(len(task.movable) for task in tasks)
        captions = sum(len(task.captioned) for task in tasks)
        snippets = sum(task.chunk.num_snippets for task in tasks)
        self._cell = min(_CELL, max(1, snippets // (2 * max(1, captions))))
        self._score = score
        self._sum_D: NDArray[np.float32] | float = 0.0
        # Score, snippet counted down, clip: the earlier of equal scores is the larger.
        self._best: list[tuple[float, int, NDArray[np.uint8]]] = []

    def offer(
        self,
        task: ChunkTask,
        decoded: DecodedChunk,
        visual_tD: NDArray[np.float16],
        num_frames: int,
    ) -> None:
        """Look at a chunk.

        Args:
            task: the chunk.
            decoded: its frames.
            visual_tD: its image features.
            num_frames: frames per clip.
        """
        if not self._count:
            return
        if self._score is None:
            self._sum_D = self._sum_D + visual_tD.astype(np.float32).sum(0)
            scores_t = novelty(visual_tD, np.asarray(self._sum_D))
        else:
            scores_t = self._score(visual_tD)
        even, first = task.at_even_places().captioned, task.chunk.first_snippet
        for score, snippet in best_of_cells(scores_t, first, self._cell, even):
            if len(self._best) == self._count and score <= self._best[0][0]:
                break
            # A copy: a view would keep the frames of the whole chunk.
            (clip_fHWC,) = replace(task, captioned=(snippet,)).captioned_clips(decoded, num_frames)
            heapq.heappush(self._best, (score, -snippet, clip_fHWC.copy()))
            if len(self._best) > self._count:
                heapq.heappop(self._best)

    def chosen(self) -> list[tuple[int, NDArray[np.uint8]]]:
        """Return the chosen snippets with their clips, uint8 [f, H, W, 3] each, in no order."""
        return [(-place, clip_fHWC) for _, place, clip_fHWC in self._best]
