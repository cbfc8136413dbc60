"""The labels of a run: classes and phrases with their vectors, from CLIP or imported as arrays.

C classes · m phrases of a class · D feature width
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.data.annotations.class_names import composed_keys
from exvad.data.storage.arrays import read_arrays
from exvad.data.storage.places import resolve_place
from exvad.encoders.loading import load_clip
from exvad.laam.label_vectors import LabelVectors
from exvad.laam.phrases import LabelPhrases

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.data.storage.places import Place

IMPORTED_LABELS_FILE = "labels.npz"
IMPORTED_ORIGIN = "imported embeddings"


@dataclass(frozen=True)
class RunLabels:
    """The classes and phrases of a run, and their vectors.

    Args:
        phrases: classes and phrases.
        vectors: their text features.
    """

    phrases: LabelPhrases
    vectors: LabelVectors

    @classmethod
    def load(cls, config: Config, classes: Sequence[str]) -> RunLabels:
        """Load the labels of a run: imported vectors if there are any, else encoded by CLIP.

        Args:
            config: names the run.
            classes: class names of the data set, which may have changed since.

        Raises:
            ValueError: the run has no labels, they are of other classes, or the imported file is
                damaged.
            ModelUnavailableError: the weights of CLIP cannot be found.
        """
        imported = resolve_place(config.in_run(IMPORTED_LABELS_FILE))
        rows = _read_imported(imported)
        if rows is None:
            phrases = LabelPhrases.read(config.labels_path)
            _check_classes(config.labels_path, phrases.phrases, classes, "run `exvad labels` again")
            return cls(phrases, LabelVectors.encode(phrases, load_clip(config)))
        _check_classes(str(imported), rows, classes, "import the labels again")
        numbered = {
            label: [f"{label} {number}" for number in range(1, len(vectors))]
            for label, vectors in rows.items()
        }
        phrases = LabelPhrases(phrases=numbered, origin=IMPORTED_ORIGIN)
        return cls(phrases, LabelVectors.from_arrays(rows))

    def embeddings(self, config: Config) -> NDArray[np.float32]:
        """Return F_L for `model.label_prompt` and `labels.k`, unit vectors, float32 [C, D].

        Raises:
            ValueError: a class has fewer than `labels.k` phrases.
        """
        return self.vectors.embeddings(config.model.label_prompt, config.labels.k)


def labels_fingerprint(config: Config) -> str:
    """Return a digest of the labels of a run, without encoding phrases.

    It is of the imported names and vectors, or of the classes and phrases, whose vectors depend on
    the settings of CLIP and nothing else.

    Args:
        config: names the run.

    Raises:
        ValueError: the run has no labels, or the imported file is damaged.
    """
    rows = _read_imported(resolve_place(config.in_run(IMPORTED_LABELS_FILE)))
    if rows is None:
        phrases = LabelPhrases.read(config.labels_path)
        return hashlib.sha256(phrases.model_dump_json().encode()).hexdigest()
    digest = hashlib.sha256()
    for label, vectors in rows.items():
        digest.update(f"{label} {vectors.dtype} {vectors.shape} ".encode())
        digest.update(np.ascontiguousarray(vectors).tobytes())
    return digest.hexdigest()


def import_labels(source: str | Path, classes: Sequence[str], config: Config) -> None:
    """Save label embeddings that were computed elsewhere in the folder of a run.

    Args:
        source: see `read_labels`.
        classes: class names of the data set, the normal class first.
        config: names the run.

    Raises:
        ValueError: see `read_labels`.
    """
    imported: dict[str, Any] = read_labels(source, classes)
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **imported)
    resolve_place(config.in_run(IMPORTED_LABELS_FILE)).write_bytes(content.getvalue())


def read_labels(source: str | Path, classes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Read label embeddings that were computed elsewhere.

    Args:
        source: an `.npz` file with an array [1 + m, D] per class: the embedding of its name, then
            those of its m phrases.
        classes: class names of the data set, the normal class first.

    Returns:
        Class → embeddings, in the order of the classes.

    Raises:
        ValueError: the file is unreadable, a class is missing, or an array has a wrong shape or a
            row of zeros.
    """
    try:
        named = composed_keys(read_arrays(source))
        arrays = {name: np.atleast_2d(rows) for name, rows in named.items()}
    except ValueError as error:
        raise ValueError(f"{source}: no .npz file that can be read ({error})") from None
    missing = [label for label in classes if label not in arrays]
    if missing:
        raise ValueError(f"{source}: has no embeddings of {', '.join(missing)}")
    if problem := _find_problem({label: arrays[label] for label in classes}):
        raise ValueError(f"{source}{problem}")
    return {label: arrays[label].astype(np.float32) for label in classes}


def _check_classes(file: str, labels: Iterable[str], classes: Sequence[str], advice: str) -> None:
    """Refuse labels of other classes than those of the data set.

    Raises:
        ValueError: they are of other classes, or in another order.
    """
    if tuple(labels) != tuple(classes):
        raise ValueError(
            f"{file} has the classes {', '.join(labels)}, and the data set now has "
            f"{', '.join(classes)}: {advice}"
        )


def _read_imported(place: Place) -> dict[str, NDArray[np.float32]] | None:
    try:
        content = place.read_bytes()
    except FileNotFoundError:
        return None
    try:
        rows = composed_keys(read_arrays(io.BytesIO(content)))
        if problem := _find_problem(rows):
            raise ValueError(problem)
    except ValueError as error:
        raise ValueError(f"{place} is damaged ({error}): import the labels again") from None
    return rows


def _find_problem(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Describe the first of the classes whose array is none of vectors; empty without one."""
    widths = {rows.shape[-1] if rows.ndim else 0 for rows in arrays.values()}
    for label, rows in arrays.items():
        is_real = np.issubdtype(rows.dtype, np.floating) or np.issubdtype(rows.dtype, np.integer)
        is_matrix = rows.ndim == 2 and len(rows) > 0 and len(widths) == 1
        with np.errstate(over="ignore", under="ignore"):
            stored = rows.astype(np.float32) if is_matrix and is_real else None
        if stored is None or not np.isfinite(stored).all():
            return (
                f"[{label}]: shape {rows.shape}; each class needs finite [1 + m, D] with one D "
                "for all"
            )
        if not (used := stored.any(axis=1)).all():
            return f"[{label}]: row {int(np.argmin(used))} (from 0) is all zeros: compute it again"
    return ""
