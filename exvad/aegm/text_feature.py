"""TODO"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from exvad.aegm.explanation import _unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.encoders.protocols import ImageTextEncoder

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")


def text_feature(encoder: ImageTextEncoder, text: str) -> NDArray[np.float32]:
    """Encode a text of any length into F_T = E_T(E), shape [D].

    CLIP reads 77 tokens at most, so sentences are encoded one by one. The result points to the
    mean of their directions and is as long as they are on average.
    """
    sentences = [part for part in _SENTENCE_END.split(text.strip()) if part] or [text]
    features_SD = encoder.encode_texts(sentences)
    direction_D = _unit(features_SD).mean(0)
    length = np.linalg.norm(features_SD, axis=1).mean() / np.linalg.norm(direction_D)
    feature_D: NDArray[np.float32] = (direction_D * length).astype(np.float32)
    return feature_D
