"""Unit vectors, for the cosines ⟨·,·⟩ of CLIP features in equations 2 and 6.

D feature width
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_LENGTH = 1e-12


def unit_vectors(vectors: NDArray[np.floating], min_length: float = 0.0) -> NDArray[np.float32]:
    """Scale vectors to length 1.

    Args:
        vectors: [..., D].
        min_length: vectors shorter than this are divided by it instead of by their length. A zero
            vector stays zero with `MIN_LENGTH` and becomes NaN with 0.

    Returns:
        The scaled vectors, float32 of the same shape.
    """
    vectors = vectors.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(lengths, min_length)
    return scaled
