"""Label embeddings F_L of LAAM, from the text features of class names and phrases.

C classes · m phrases of a class · k nearest phrases · P phrases of all classes · D feature width
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from exvad.encoders.vectors import unit_vectors
from exvad.laam.phrases import readable_label
from exvad.laam.top_phrases import augmented_embedding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.encoders.protocols import ImageTextEncoder
    from exvad.laam.phrases import LabelPhrases

LabelPrompt = Literal["name", "template", "learnable", "augmented"]
TEMPLATE = "a video of {label}"


@dataclass(frozen=True, eq=False)
class LabelVectors:
    """The text features from which label embeddings are built.

    Args:
        classes: class names, the normal class first.
        name_CD: v_L, features of the class names.
        phrases: v_S, features [m, D] of the phrases of each class.
        template_CD: features of `TEMPLATE` with each class name.
    """

    classes: tuple[str, ...]
    name_CD: NDArray[np.float32]
    phrases: tuple[NDArray[np.float32], ...]
    template_CD: NDArray[np.float32]

    @classmethod
    def encode(cls, labels: LabelPhrases, encoder: ImageTextEncoder) -> LabelVectors:
        """Encode class names and phrases.

        Args:
            labels: classes and phrases.
            encoder: E_T.
        """
        names = [readable_label(label) for label in labels.classes]
        counts = [len(labels.phrases[label]) for label in labels.classes]
        phrase_PD = encoder.encode_texts(
            [phrase for label in labels.classes for phrase in labels.phrases[label]]
        )
        return cls(
            labels.classes,
            encoder.encode_texts(names),
            tuple(np.split(phrase_PD, np.cumsum(counts)[:-1])),
            encoder.encode_texts([TEMPLATE.format(label=name) for name in names]),
        )

    @classmethod
    def from_arrays(cls, rows: Mapping[str, NDArray[np.float32]]) -> LabelVectors:
        """Use vectors that were computed elsewhere.

        Args:
            rows: class → [1 + m, D], the vector of its name, then those of its phrases. The vector
                of the name is also used in place of the template's.
        """
        name_CD = np.stack([vectors[0] for vectors in rows.values()])
        phrases = tuple(vectors[1:] for vectors in rows.values())
        return cls(tuple(rows), name_CD, phrases, name_CD)

    @property
    def min_phrases(self) -> int:
        """The smallest number of phrases of any class."""
        return min(len(phrase_mD) for phrase_mD in self.phrases)

    def embeddings(self, strategy: LabelPrompt, k: int = 4) -> NDArray[np.float32]:
        """Return the label embeddings F_L, unit vectors, float32 [C, D].

        Args:
            strategy: `name` is the vector of the class name; `template` that of `TEMPLATE`;
                `augmented` the name integrated with its k nearest phrases (equation 6);
                `learnable` starts from `template` and is trained by the network.
            k: number of phrases per class; 0 uses the name alone.

        Raises:
            ValueError: a class has fewer than k phrases.
        """
        if strategy in ("template", "learnable"):
            return unit_vectors(self.template_CD)
        if strategy == "name":
            return unit_vectors(self.name_CD)
        too_few = [
            label
            for label, phrase_mD in zip(self.classes, self.phrases, strict=True)
            if len(phrase_mD) < k
        ]
        if too_few:
            raise ValueError(f"k = {k}, but {', '.join(too_few)} has fewer phrases: lower labels.k")
        pairs = zip(self.name_CD, self.phrases, strict=True)
        return np.stack([augmented_embedding(name_D, phrase_mD, k) for name_D, phrase_mD in pairs])
