"""Of two commands that would work on one folder, the second is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.data.storage.claims import claimed, claimed_file
from exvad.data.storage.places import resolve_place


def test_a_claimed_folder_is_refused_until_the_first_command_ends(tmp_path: Path) -> None:
    folder = resolve_place(tmp_path)
    with claimed(folder, "exvad train"):
        with (
            pytest.raises(ValueError, match=f"{tmp_path}: another exvad train works on it"),
            claimed(folder, "exvad train"),
        ):
            pass
        with claimed(resolve_place(tmp_path.parent), "exvad train"):
            pass
    with claimed(folder, "exvad train"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_is_not_claimed() -> None:
    with claimed(resolve_place("s3://bucket/run"), "exvad train"):
        pass


def test_a_claimed_file_is_refused_until_the_first_command_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "memory.json"
    with claimed_file(path, "exvad memory build"):
        with (
            pytest.raises(ValueError, match=f"{path}: another exvad memory build makes it"),
            claimed_file(path, "exvad memory build"),
        ):
            pass
        with claimed_file(path.with_name("other.json"), "exvad memory build"):
            pass
    with claimed_file(path, "exvad memory build"):
        pass
    assert list(path.parent.iterdir()) == []
