"""Scores from those of similar moments, as LAVAD and VERA refine theirs, and from neighbours.

N, M moments, such as snippets or windows of a video · D feature width · K similar moments
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS_AT_ONCE = 1024
MIN_LENGTH = 1e-12


def refine(
    scores_M: NDArray[np.floating],
    query_ND: NDArray[np.floating],
    key_MD: NDArray[np.floating],
    count: int,
    scale: float = 1.0,
) -> NDArray[np.float64]:
    """Return for each moment the weighted mean score of the moments that are most similar to it.

    The weights are the softmax of `scale` times the cosines. Memory grows with M, not with N · M.

    Args:
        scores_M: scores of the moments that are compared with.
        query_ND: features of the moments that get scores.
        key_MD: features of the moments that are compared with.
        count: K, at least 1; of fewer moments all count.
        scale: of the cosines.

    Returns:
        float64 [N], within the range of the scores.
    """
    assert count >= 1
    assert len(scores_M) == len(key_MD) >= 1
    query_ND, key_MD = _unit(query_ND), _unit(key_MD)
    count = min(count, len(key_MD))
    refined_N = np.empty(len(query_ND))
    for start in range(0, len(query_ND), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        cosine_nM = query_ND[rows] @ key_MD.T
        nearest_nK = np.argpartition(cosine_nM, -count, axis=1)[:, -count:]
        logits_nK = scale * np.take_along_axis(cosine_nM, nearest_nK, axis=1)
        weights_nK = np.exp(logits_nK - logits_nK.max(1, keepdims=True))
        weights_nK /= weights_nK.sum(1, keepdims=True)
        refined_N[rows] = (weights_nK * scores_M[nearest_nK]).sum(1)
    # The rounding of a weighted mean may leave the range of its terms.
    return refined_N.clip(scores_M.min(), scores_M.max())


def interpolate(
    places: NDArray[np.intp], known: NDArray[np.intp], values: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return values between those that are known, on straight lines; beyond them the last one.

    Args:
        places: where values are needed, [N].
        known: where they are known, ascending, at least one.
        values: the known values.
    """
    assert len(known) == len(values) >= 1
    interpolated_N: NDArray[np.float64] = np.interp(places, known, values)
    return interpolated_N


def _unit(x_ND: NDArray[np.floating]) -> NDArray[np.float64]:
    wide_ND = x_ND.astype(np.float64)
    lengths_N1 = np.linalg.norm(wide_ND, axis=1, keepdims=True)
    unit_ND: NDArray[np.float64] = wide_ND / np.maximum(lengths_N1, MIN_LENGTH)
    return unit_ND
