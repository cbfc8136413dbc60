"""The text feature F_T = E_T(E) of an explanation (paper, section 3.3).

N texts · S sentences, s of one text · D feature width
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from exvad.encoders.vectors import MIN_LENGTH, unit_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.encoders.protocols import ImageTextEncoder

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")


def text_feature(encoder: ImageTextEncoder, text: str) -> NDArray[np.float32]:
    """Encode a text of any length into F_T = E_T(E), float32 [D]; see `text_features`."""
    feature_D: NDArray[np.float32] = text_features(encoder, [text])[0]
    return feature_D


def text_features(encoder: ImageTextEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
    """Encode texts of any length.

    CLIP reads at most 77 tokens, so each sentence is encoded separately. The feature of a text has
    the mean direction and the mean length of its sentences' features.

    Args:
        encoder: E_T.
        texts: N texts, at least one; an empty text is encoded as one sentence.

    Returns:
        float32 [N, D].
    """
    sentences = [_sentences(text) for text in texts]
    features_SD = encoder.encode_texts([part for parts in sentences for part in parts])
    ends_N = np.cumsum([len(parts) for parts in sentences])
    return np.stack([_mean_feature(rows_sD) for rows_sD in np.split(features_SD, ends_N[:-1])])


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE_END.split(text.strip()) if part] or [text]


def _mean_feature(features_SD: NDArray[np.float32]) -> NDArray[np.float32]:
    direction_D = unit_vectors(features_SD, MIN_LENGTH).mean(0)
    length = np.linalg.norm(features_SD, axis=1).mean() / np.linalg.norm(direction_D)
    feature_D: NDArray[np.float32] = (direction_D * length).astype(np.float32)
    return feature_D
