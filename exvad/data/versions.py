"""What another version of exvad wrote is refused in one sentence that names both versions."""

from __future__ import annotations

import exvad

SERIES = ".".join(exvad.__version__.split(".")[:2])


class OtherVersionError(ValueError):
    """A store, checkpoint or database was written by another version of exvad.

    Args:
        place: where it lies.
        written_by: the version that wrote it, such as `0.1`.
        advice: what to do, as the end of a sentence.
    """

    def __init__(self, place: str, written_by: str, advice: str) -> None:
        super().__init__(
            f"{place} was written by exvad {written_by}, and this is exvad {exvad.__version__}: "
            f"{advice}"
        )


def same_series(version: str) -> bool:
    """Whether a version reads and writes the same formats as this one: `0.2.*` for 0.2.0."""
    return ".".join(version.split(".")[:2]) == SERIES
