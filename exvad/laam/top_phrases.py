"""The top-k phrases of a label, and the embedding that integrates them (LAAM; equation 6).

m phrases of a class · k nearest phrases · D feature width
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from exvad.encoders.vectors import unit_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray


def nearest_phrases(
    label_D: NDArray[np.floating], phrase_mD: NDArray[np.floating], k: int
) -> NDArray[np.intp]:
    """Choose the k phrases most similar to their label, argtop-k ⟨v_L, v_Si⟩ (equation 6).

    Args:
        label_D: v_L, the vector of the class name.
        phrase_mD: v_Si, the vectors of its phrases.
        k: 0 to m.

    Returns:
        Indices of the chosen phrases, most similar first; of equally similar ones the lower first.
    """
    cosine_m = unit_vectors(phrase_mD) @ unit_vectors(label_D)
    return np.argsort(-cosine_m, kind="stable")[:k]


def augmented_embedding(
    label_D: NDArray[np.floating], phrase_mD: NDArray[np.floating], k: int
) -> NDArray[np.float32]:
    """Integrate a label with its k nearest phrases: the direction of their mean unit vector.

    Args:
        label_D: v_L, the vector of the class name.
        phrase_mD: v_Si, the vectors of its phrases.
        k: 0 to m.

    Returns:
        A unit vector, float32 [D].
    """
    nearest_kD = phrase_mD[nearest_phrases(label_D, phrase_mD, k)]
    return unit_vectors(unit_vectors(np.concatenate([label_D[None], nearest_kD])).mean(0))
