"""Captions where a first look at the frames finds something, in place of even distances.

t snippets of a chunk · D feature width
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_TINY = 1e-12


def novelty(visual_tD: NDArray[Any], reference_D: NDArray[Any]) -> NDArray[np.float32]:
    """Return how much each snippet differs from the usual scene: 1 − ⟨v_t, reference⟩, 0 to 2.

    A fixed camera shows nearly the same most of the time, and an event does not look like it.

    Args:
        visual_tD: image features of the snippets.
        reference_D: their mean over the chunk, or over the video so far.
    """
    rows_tD, usual_D = visual_tD.astype(np.float32), reference_D.astype(np.float32)
    lengths_t = np.linalg.norm(rows_tD, axis=1) * np.linalg.norm(usual_D)
    similarity_t: NDArray[np.float32] = rows_tD @ usual_D / np.maximum(lengths_t, _TINY)
    return 1 - similarity_t


def best_of_cells(
    scores_t: NDArray[np.floating], first: int, cell: int, taken: Sequence[int]
) -> list[tuple[float, int]]:
    """Return the snippet of the highest score in each cell of equally many snippets.

    Neighbours look alike: without cells all captions would go to one moment.

    Args:
        scores_t: how much each snippet deserves a caption.
        first: index within the video of the first snippet.
        cell: snippets per cell, counted from the start of the video.
        taken: snippets that are captioned already.

    Returns:
        Score and snippet of each cell with a free snippet, from the highest score.
    """
    best: dict[int, tuple[float, int]] = {}
    captioned = set(taken)
    for snippet, score in enumerate(scores_t.tolist(), first):
        # Of equal scores the first counts.
        if snippet not in captioned and score > best.get(snippet // cell, (-np.inf, 0))[0]:
            best[snippet // cell] = (score, snippet)
    return sorted(best.values(), key=lambda found: (-found[0], found[1]))
