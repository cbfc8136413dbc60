"""The labels of a run: classes and phrases with their vectors, from CLIP or imported as arrays.

C classes · m phrases per class · D feature width
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.data.atomic import atomic_file
from exvad.encoders.loading import load_clip
from exvad.laam.label_vectors import LabelVectors
from exvad.laam.phrases import LabelPhrases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from exvad.config import Config

IMPORTED = "labels.npz"


@dataclass(frozen=True)
class RunLabels:
    """The classes of a run, their phrases, and the vectors that label embeddings are made of.

    Args:
        phrases: classes and phrases.
        vectors: their text features.
    """

    phrases: LabelPhrases
    vectors: LabelVectors

    @classmethod
    def load(cls, config: Config) -> RunLabels:
        """Load the labels of a run; CLIP encodes them unless their vectors were imported.

        Raises:
            ValueError: the run has no labels yet, or what was imported is damaged.
        """
        rows = _read_imported(config.run_path / IMPORTED)
        if rows is None:
            phrases = LabelPhrases.read(config.labels_path)
            return cls(phrases, LabelVectors.encode(phrases, load_clip(config)))
        named = {label: [f"{label} {n}" for n in range(1, len(own))] for label, own in rows.items()}
        phrases = LabelPhrases(phrases=named, origin="imported embeddings")
        return cls(phrases, LabelVectors.from_arrays(rows))

    def embeddings(self, config: Config) -> NDArray[np.float32]:
        """Return F_L, [C, D], as `model.label_prompt` and `labels.k` of a configuration say.

        Raises:
            ValueError: k is larger than the number of phrases of a class.
        """
        return self.vectors.embeddings(config.model.label_prompt, config.labels.k)


def import_labels(source: str | Path, classes: Sequence[str], config: Config) -> None:
    """Keep label embeddings given as arrays in the run's folder.

    Args:
        source: an `.npz` file with an array [1 + m, D] for each class: its own embedding, then
            those of its m phrases.
        classes: the data set's classes, the normal one first.
        config: of the run.

    Raises:
        ValueError: the file can't be read, a class is missing, or an array has another shape.
    """
    try:
        with np.load(source, allow_pickle=False) as arrays:
            given = {name: np.atleast_2d(np.asarray(arrays[name])) for name in arrays.files}
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{source}: no .npz file that can be read ({error})") from None
    missing = [label for label in classes if label not in given]
    if missing:
        raise ValueError(f"{source}: has no embeddings of {', '.join(missing)}")
    widths = {given[label].shape[-1] for label in classes}
    for label in classes:
        rows = given[label]
        if rows.ndim != 2 or len(widths) > 1 or not np.isfinite(rows).all():
            raise ValueError(
                f"{source}[{label}]: shape {rows.shape}; each class needs finite [1 + m, D] "
                "with one D for all"
            )
    with atomic_file(config.run_path / IMPORTED) as file:
        kept: dict[str, Any] = {label: given[label].astype(np.float32) for label in classes}
        np.savez(file, allow_pickle=False, **kept)


def _read_imported(path: Path) -> dict[str, NDArray[np.float32]] | None:
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path} is damaged ({error}): import the labels again") from None
