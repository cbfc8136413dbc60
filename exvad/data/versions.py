"""Refuse files that another version of exvad wrote, in one sentence that names both versions."""

from __future__ import annotations

import exvad

SERIES = ".".join(exvad.__version__.split(".")[:2])


class OtherVersionError(ValueError):
    """A store, checkpoint or database was written by another version of exvad.

    Args:
        place: the path or URI of the store, checkpoint or database.
        written_by: the version that wrote it, such as `0.1`.
        advice: what the user can do, as the end of the sentence.
    """

    def __init__(self, place: str, written_by: str, advice: str) -> None:
        super().__init__(
            f"{place} was written by exvad {written_by}, and this is exvad {exvad.__version__}: "
            f"{advice}"
        )


def same_series(version: str) -> bool:
    """Return whether a version uses the formats of this one, as 0.2.1 does those of 0.2.0."""
    return ".".join(version.split(".")[:2]) == SERIES
