"""Label embeddings F_L: the vectors of names and phrases, and what a strategy makes of them.

C classes · m phrases per class · P phrases of all classes · D feature width
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from exvad.laam.phrases import readable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from exvad.encoders.protocols import ImageTextEncoder
    from exvad.laam.phrases import LabelPhrases

LabelPrompt = Literal["name", "template", "learnable", "augmented"]
TEMPLATE = "a video of {label}"


@dataclass(frozen=True, eq=False)
class LabelVectors:
    """The text features that label embeddings are made of.

    Args:
        classes: class names, the normal one first.
        name_CD: v_L, features of the class names.
        phrases: v_S, features [m, D] of each class's phrases.
        template_CD: features of "a video of …".
    """

    classes: tuple[str, ...]
    name_CD: NDArray[np.float32]
    phrases: tuple[NDArray[np.float32], ...]
    template_CD: NDArray[np.float32]

    @classmethod
    def encode(cls, labels: LabelPhrases, encoder: ImageTextEncoder) -> LabelVectors:
        """Encode class names and phrases with CLIP's text encoder E_T."""
        names = [readable(label) for label in labels.classes]
        sizes = [len(labels.phrases[label]) for label in labels.classes]
        phrase_PD = encoder.encode_texts(
            [phrase for label in labels.classes for phrase in labels.phrases[label]]
        )
        return cls(
            labels.classes,
            encoder.encode_texts(names),
            tuple(np.split(phrase_PD, np.cumsum(sizes)[:-1])),
            encoder.encode_texts([TEMPLATE.format(label=name) for name in names]),
        )

    @classmethod
    def from_arrays(cls, rows: Mapping[str, NDArray[np.float32]]) -> LabelVectors:
        """Take vectors that were computed elsewhere.

        Args:
            rows: class → [1 + m, D], the vector of its name and those of its phrases. There is no
                template: the names stand for it.
        """
        name_CD = np.stack([own[0] for own in rows.values()])
        return cls(tuple(rows), name_CD, tuple(own[1:] for own in rows.values()), name_CD)

    @property
    def fewest_phrases(self) -> int:
        """The number of phrases of the class that has the fewest."""
        return min(len(own) for own in self.phrases)

    def embeddings(self, strategy: LabelPrompt, k: int = 4) -> NDArray[np.float32]:
        """Return the label embeddings F_L, unit vectors [C, D].

        Args:
            strategy: `name` is the vector of the class name, `template` that of "a video of …",
                `augmented` the mean of the name and its k nearest phrases (all normalised, the
                result again); `learnable` starts from `template` and is trained by the network.
            k: phrases kept per class; 0 leaves the name alone.

        Raises:
            ValueError: k is larger than the number of phrases of a class.
        """
        if strategy in ("template", "learnable"):
            return unit(self.template_CD)
        if strategy == "name":
            return unit(self.name_CD)
        short = [
            label for label, own in zip(self.classes, self.phrases, strict=True) if len(own) < k
        ]
        if short:
            raise ValueError(f"k = {k}, but {', '.join(short)} has fewer phrases: lower labels.k")
        pairs = zip(self.name_CD, self.phrases, strict=True)
        return np.stack([augmented_embedding(name_D, phrase_mD, k) for name_D, phrase_mD in pairs])


def nearest_phrases(
    label_D: NDArray[np.floating], phrase_mD: NDArray[np.floating], k: int
) -> NDArray[np.intp]:
    """Choose the k phrases nearest to their label by cosine (equation 6).

    Args:
        label_D: embedding v_L of the class name.
        phrase_mD: embeddings v_Si of its phrases.
        k: how many to keep, 0 ≤ k ≤ m.

    Returns:
        Indices of the chosen phrases, nearest first.
    """
    cosine_m = unit(phrase_mD) @ unit(label_D)
    return np.argsort(-cosine_m, kind="stable")[:k]


def augmented_embedding(
    label_D: NDArray[np.floating], phrase_mD: NDArray[np.floating], k: int
) -> NDArray[np.float32]:
    """Integrate a label with its k nearest phrases: the normalised mean of the k + 1 directions."""
    chosen_kD = phrase_mD[nearest_phrases(label_D, phrase_mD, k)]
    return unit(unit(np.concatenate([label_D[None], chosen_kD])).mean(0))


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return vectors [..., D] with length 1."""
    rows = rows.astype(np.float32)
    scaled: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return scaled
