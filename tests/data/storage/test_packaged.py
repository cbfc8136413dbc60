"""Files that ship with exvad, and other files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exvad.data.storage.packaged import read_packaged


def test_read_packaged_reads_what_ships_and_other_files(tmp_path: Path) -> None:
    assert "incidents" in json.loads(read_packaged("package:scenes", "memory"))
    (tmp_path / "mine.json").write_bytes(b"{}")
    assert read_packaged(tmp_path / "mine.json", "memory") == b"{}"
    with pytest.raises(FileNotFoundError):
        read_packaged("package:absent", "memory")
