"""The text feature F_T = E_T(E) of an explanation (paper, section 3.3).

S sentences · D feature width
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from exvad.encoders.vectors import MIN_LENGTH, unit_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.encoders.protocols import ImageTextEncoder

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")


def text_feature(encoder: ImageTextEncoder, text: str) -> NDArray[np.float32]:
    """Encode a text of any length into F_T = E_T(E).

    CLIP reads at most 77 tokens, so each sentence is encoded separately. F_T has the mean direction
    and the mean length of the sentence features.

    Args:
        encoder: E_T.
        text: E; an empty text is encoded as one sentence.

    Returns:
        F_T, float32 [D].
    """
    sentences = [part for part in _SENTENCE_END.split(text.strip()) if part] or [text]
    features_SD = encoder.encode_texts(sentences)
    direction_D = unit_vectors(features_SD, MIN_LENGTH).mean(0)
    length = np.linalg.norm(features_SD, axis=1).mean() / np.linalg.norm(direction_D)
    feature_D: NDArray[np.float32] = (direction_D * length).astype(np.float32)
    return feature_D
