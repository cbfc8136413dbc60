"""Of a whole video the clips with the highest scores are kept, and no others are held in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from exvad.aegm.chunk_task import ChunkTask
from exvad.detector.guided_clips import GuidedClips, SnippetScores
from exvad.video.chunks import Chunk
from exvad.video.decoding import DecodedChunk

SIZE, CHUNKS = 8, 6


def chunk(index: int, captioned: tuple[int, ...], movable: tuple[int, ...]) -> ChunkTask:
    first = SIZE * index
    span = Chunk("v", "v.mp4", index, first, 16 * first, 16, (0.0,) * SIZE, ())
    return ChunkTask(span, CHUNKS, 16 * SIZE * CHUNKS, 30.0, captioned, movable=movable)


def offer_all(guided: GuidedClips, tasks: list[ChunkTask], visual_TD: NDArray[np.float16]) -> None:
    """Offer every chunk; the brightness of a frame is the number of its snippet."""
    for task in tasks:
        first = task.chunk.first_snippet
        values = np.arange(first, first + SIZE, dtype=np.uint8)[:, None, None, None]
        decoded = DecodedChunk(np.tile(values, (1, 2, 3, 3)), np.zeros(SIZE), [])
        guided.offer(task, decoded, visual_TD[first : first + SIZE], 1)


def head(visual_tD: NDArray[np.float16]) -> NDArray[np.float32]:
    """Score a snippet by its second feature, as a trained network might."""
    return visual_tD[:, 1].astype(np.float32)


@pytest.mark.parametrize("score", [None, head], ids=["novelty", "head"])
def test_guided_clips_are_those_of_the_event_wherever_the_captions_were_planned(
    score: SnippetScores | None,
) -> None:
    # Captions are planned in the first chunk and the event is in the fifth.
    tasks = [chunk(0, (0, 2, 4, 6), (2, 6)), *(chunk(index, (), ()) for index in range(1, CHUNKS))]
    visual_TD = np.tile(np.array([1.0, 0.0], np.float16), (SIZE * CHUNKS, 1))
    visual_TD[33:39] = [0.0, 1.0]
    guided = GuidedClips(tasks, score)
    offer_all(guided, tasks, visual_TD)
    chosen = dict(guided.chosen())
    assert len(chosen) == 2
    assert all(33 <= snippet < 39 for snippet in chosen)
    assert all((clip_fHWC == snippet).all() for snippet, clip_fHWC in chosen.items())
    assert all(clip_fHWC.base is None for clip_fHWC in chosen.values()), "no view of the chunk"


def test_guided_clips_without_movable_captions_score_nothing() -> None:
    def fail(_: NDArray[np.float16]) -> NDArray[np.float32]:
        raise AssertionError

    scorer: Callable[[NDArray[np.float16]], NDArray[np.float32]] = fail
    tasks = [chunk(index, (SIZE * index,), ()) for index in range(CHUNKS)]
    guided = GuidedClips(tasks, scorer)
    offer_all(guided, tasks, np.ones((SIZE * CHUNKS, 2), np.float16))
    assert guided.chosen() == []
