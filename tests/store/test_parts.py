"""Part files are complete or absent, and a damaged one is named."""

from __future__ import annotations

import errno
import os
import resource
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exvad.store.parts import CorruptPartError
from exvad.store.store import Store
from tests.helpers.feature_store import FINGERPRINT, ROWS, part_files, vision_row


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_no_part_and_the_error_names_stage_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    stage = Store(tmp_path).stage("vision", FINGERPRINT)
    stage.append([vision_row("a")])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(OSError, match="stage vision: cannot write: No space left") as caught:
            stage.append([vision_row("b")])
    assert caught.value.errno == errno.ENOSPC
    assert str(tmp_path / "vision") in str(caught.value)
    assert len(part_files(tmp_path)) == 1
    stage.append([vision_row("b")])
    assert stage.keys() == {("a", 0, 0), ("b", 0, 0)}


def test_a_truncated_write_leaves_no_part(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", FINGERPRINT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="stage vision: cannot write") as caught:
            stage.append(ROWS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert part_files(tmp_path) == []


def test_a_failed_remote_write_leaves_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Store(f"memory://{uuid.uuid4().hex}").stage("vision", FINGERPRINT)

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "connection lost")

    class Breaking:
        def __getattr__(self, name: str) -> Any:
            return broken if name == "move" else getattr(inner, name)

    inner = stage._folder.fs
    monkeypatch.setattr(stage._folder, "fs", Breaking())
    with pytest.raises(OSError, match="stage vision: cannot write: connection lost"):
        stage.append([vision_row()])
    monkeypatch.undo()
    assert stage.keys() == set()
    assert len(stage._folder._names()) == 1


def test_files_of_interrupted_writers_are_ignored(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", FINGERPRINT)
    stage.append(ROWS)
    (tmp_path / "vision" / ".0001.parquet.ab.tmp").write_bytes(b"PAR1 half a file")
    (tmp_path / "vision" / ".hidden.parquet").write_bytes(b"half")
    assert len(stage.keys()) == stage.table().num_rows == len(ROWS)


def end_of_visual(part: Path) -> int:
    """Return the offset where the features end: the 190 bytes before it are plain numbers."""
    group = pq.ParquetFile(part).metadata.row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    visual = next(c for c in columns if c.path_in_schema.startswith("visual"))
    return int(visual.data_page_offset + visual.total_compressed_size)


@pytest.mark.parametrize("damage", ["cut", "empty", "flip", "text"])
def test_a_damaged_part_is_named_with_what_to_do(tmp_path: Path, damage: str) -> None:
    stage = Store(tmp_path).stage("vision", FINGERPRINT)
    stage.append(ROWS[:3])
    stage.append(ROWS[3:])
    broken = tmp_path / "vision" / part_files(tmp_path)[1]
    data = bytearray(broken.read_bytes())
    data[end_of_visual(broken) - 60] ^= 0x10
    contents: dict[str, bytes] = {
        "cut": bytes(data[:-100]),
        "empty": b"",
        "flip": bytes(data),
        "text": b"no",
    }
    broken.write_bytes(contents[damage])
    with pytest.raises(CorruptPartError, match=f"{broken.name}.*delete it and run again"):
        stage.table()
    broken.unlink()
    stage.append(ROWS[3:])
    assert stage.table().num_rows == len(ROWS)


def test_a_foreign_parquet_file_is_named(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", FINGERPRINT)
    pq.write_table(pa.table({"x": [1]}), tmp_path / "vision" / "foreign.parquet")
    with pytest.raises(CorruptPartError, match=r"foreign\.parquet has no column 'video_id'"):
        stage.keys()
