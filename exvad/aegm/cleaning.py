"""Caption cleaning of AEGM (paper, equation 2).

c captioned frames · D feature width · ⟨·,·⟩ cosine
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from exvad.encoders.vectors import MIN_LENGTH, unit_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

OWN_CAPTION_BONUS = 1e-6


@dataclass(frozen=True)
class CleanedCaptions:
    """The cleaned captions of a video.

    Args:
        captions: T̂_1 … T̂_c, in temporal order.
        features_cD: E_T(T̂_i).
        changed: how many frames have a caption other than their own.
    """

    captions: list[str]
    features_cD: NDArray[np.float32]
    changed: int


def clean_captions(
    captions: Sequence[str],
    image_cD: NDArray[np.floating],
    text_cD: NDArray[np.floating],
    window: int | None = None,
) -> CleanedCaptions:
    """Replace the caption of every frame by the most similar caption of its video.

    T̂_i = argmax_{T_j} ⟨E_I(I_i), E_T(T_j)⟩ (equation 2). Of equally similar captions a frame keeps
    its own.

    Args:
        captions: T_1 … T_c, in temporal order.
        image_cD: E_I(I_i), features of the captioned frames.
        text_cD: E_T(T_i), features of the captions.
        window: maximum distance |i − j| in captioned frames; None for no limit.

    Returns:
        The cleaned captions.
    """
    count = len(captions)
    assert image_cD.shape == text_cD.shape
    assert len(image_cD) == count
    similarity_cc = unit_vectors(image_cD, MIN_LENGTH) @ unit_vectors(text_cD, MIN_LENGTH).T
    similarity_cc[np.arange(count), np.arange(count)] += OWN_CAPTION_BONUS
    if window is not None:
        distance_cc = np.abs(np.arange(count)[:, None] - np.arange(count)[None, :])
        similarity_cc[distance_cc > window] = -np.inf
    best_c = similarity_cc.argmax(1)
    cleaned = [captions[index] for index in best_c]
    changed = sum(new != old for new, old in zip(cleaned, captions, strict=True))
    return CleanedCaptions(cleaned, text_cD[best_c].astype(np.float32), changed)
