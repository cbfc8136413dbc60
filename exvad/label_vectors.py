"""The label embeddings F_L of a run: from phrases by CLIP's text encoder, or imported as arrays.

C classes · m phrases · D feature width
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.laam import LabelPhrases, augmented_embedding, label_embeddings, readable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from exvad.config import Config

IMPORTED = "labels.npz"


class RunLabels:
    """A run's classes, their phrases, and the embeddings that settings make of them.

    CLIP is loaded once, and only if the embeddings were not imported.

    Args:
        config: of the run.

    Raises:
        ValueError: the run has no labels yet, or what was imported is damaged.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._clip: Any = None
        self._imported = _read_imported(config.run_path / IMPORTED)
        if self._imported is None:
            self.phrases = LabelPhrases.read(config.labels_path)
        else:
            named = {label: [f"{label} {n}" for n in range(1, len(rows))]
                     for label, rows in self._imported.items()}  # fmt: skip
            self.phrases = LabelPhrases(phrases=named, origin="imported embeddings")

    def embeddings(self, config: Config) -> NDArray[np.float32]:
        """Return F_L, [C, D], as the `model.label_prompt` and `labels.k` of a configuration say.

        Raises:
            ValueError: k is larger than the number of phrases of a class.
        """
        strategy, k = config.model.label_prompt, config.labels.k
        if self._imported is None:
            return label_embeddings(self.phrases, self._encoder(), strategy, k)
        kept = k if strategy == "augmented" else 0
        short = [label for label, rows in self._imported.items() if len(rows) - 1 < kept]
        if short:
            raise ValueError(f"k = {k}, but {', '.join(short)} has fewer phrases: lower labels.k")
        return np.stack(
            [augmented_embedding(rows[0], rows[1:], kept) for rows in self._imported.values()]
        )

    def rows(self) -> dict[str, NDArray[np.float32]]:
        """Return class → [1 + m, D]: the embedding of the name and those of its phrases."""
        if self._imported is not None:
            return self._imported
        encoder = self._encoder()
        return {
            label: encoder.encode_texts([readable(label), *phrases])
            for label, phrases in self.phrases.phrases.items()
        }

    def templates(self) -> NDArray[np.float32]:
        """Return the embeddings of "a video of …", [C, D]; of the names where imported."""
        if self._imported is not None:
            return np.stack([augmented_embedding(r[0], r[1:], 0) for r in self._imported.values()])
        return label_embeddings(self.phrases, self._encoder(), "template")

    def _encoder(self) -> Any:
        if self._clip is None:
            from exvad.encoders.load import load_clip

            self._clip = load_clip(self._config)
        return self._clip


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
    from exvad.data.atomic import atomic_file

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
