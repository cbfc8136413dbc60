"""Part files are complete or absent, and a damaged one is named."""

from __future__ import annotations

import errno
import os
import resource
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from exvad.data.storage.errors import StorageError
from exvad.data.storage.places import resolve_place
from exvad.data.storage.remote import retries
from exvad.store.parts import CorruptPartError
from exvad.store.schema import StageName
from exvad.store.store import Store
from tests.helpers.feature_store import FINGERPRINT, ROWS, part_files, vision_row
from tests.helpers.object_store import Faults, Kind, ObjectStore, object_store


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
    monkeypatch.setattr(retries, "FIRST_DELAY", 0.01)
    folder = f"memory://{uuid.uuid4().hex}"
    stage = Store(folder).stage("vision", FINGERPRINT)

    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "connection lost")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "mv", broken)
        with pytest.raises(StorageError, match=r"memory://.*/vision/.*: connection lost"):
            stage.append([vision_row()])
    assert stage.keys() == set()
    assert resolve_place(folder).list_files(recursive=True) == ["vision/stage.json"]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    monkeypatch.setattr(retries, "FIRST_DELAY", 0.01)
    with object_store() as store:
        yield store


@pytest.mark.parametrize("stage_name", ["captions", "vision"])
def test_a_part_in_a_bucket_is_one_request(bucket: ObjectStore, stage_name: StageName) -> None:
    stage = Store(bucket.url("store")).stage(stage_name, FINGERPRINT)
    rows: list[Any] = [vision_row(f"v{index}") for index in range(4)]
    if stage_name == "captions":
        rows = [{"video_id": "v", "snippet": index, "caption": "a man"} for index in range(4)]
    stage.append(rows[:1])
    bucket.proxy.requests.clear()
    for row in rows[1:]:
        stage.append([row])
    assert [method for method, _ in bucket.proxy.requests] == ["PUT"] * 3
    assert len(bucket.names(f"store/{stage_name}")) == 5
    assert len(stage.table()) == 4


@pytest.mark.parametrize("kind", ["503", "reset"])
def test_storage_that_fails_is_no_damaged_part(bucket: ObjectStore, kind: Kind) -> None:
    stage = Store(bucket.url("store")).stage("vision", FINGERPRINT)
    stage.append(ROWS)
    bucket.proxy.faults = [Faults(kind, 3)]
    assert len(stage.table()) == len(ROWS)
    bucket.proxy.faults = [Faults(kind, 99, "GET", ".parquet")]
    with pytest.raises(StorageError, match=r"\.parquet: "):
        stage.table()
    bucket.proxy.faults = [Faults(kind, 99, "PUT")]
    with pytest.raises(StorageError, match=r"\.parquet: "):
        stage.append([vision_row("c")])
    bucket.proxy.faults.clear()
    assert len(bucket.names()) == 2
    stage.append([vision_row("c")])
    assert len(stage.table()) == len(ROWS) + 1


def test_a_damaged_part_in_a_bucket_is_named(bucket: ObjectStore) -> None:
    stage = Store(bucket.url("store")).stage("vision", FINGERPRINT)
    stage.append(ROWS)
    (part,) = [name for name in bucket.names() if name.endswith(".parquet")]
    bucket.put(part, b"PAR1 no part")
    with pytest.raises(CorruptPartError, match=f"s3://{bucket.bucket}/{part}.*delete it"):
        stage.table()


def test_a_stage_in_a_bucket_starts_over(bucket: ObjectStore) -> None:
    store = Store(bucket.url("store"))
    store.stage("vision", FINGERPRINT).append(ROWS)
    bucket.put("store/vision/.0001.parquet.ab.tmp", b"left by version 0.1")
    stage = store.stage("vision", {"stride": 8}, fresh=True)
    assert stage.keys() == set()
    assert bucket.names() == ["store/vision/stage.json"]


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
