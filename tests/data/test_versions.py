"""Files of another version are refused in one sentence that names both versions."""

from __future__ import annotations

import exvad
from exvad.data.versions import OtherVersionError, same_series


def test_other_version_error_names_place_versions_and_advice() -> None:
    error = OtherVersionError("runs/a/store", "0.1", "use another folder")
    assert str(error) == (
        f"runs/a/store was written by exvad 0.1, and this is exvad {exvad.__version__}: "
        "use another folder"
    )


def test_same_series_ignores_the_patch_number() -> None:
    major, minor, patch = exvad.__version__.split(".")
    assert same_series(exvad.__version__)
    assert same_series(f"{major}.{minor}.{int(patch) + 1}")
    assert not same_series(f"{major}.{int(minor) + 1}.{patch}")
