"""Which files of a stage count."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.store.index.compaction import compact
from exvad.store.parts import CorruptPartError, Piece
from exvad.store.store import Store
from tests.helpers.compaction import fill_stage
from tests.helpers.feature_store import FINGERPRINT, vision_row


def test_snapshot_of_new_and_small_stages(tmp_path: Path) -> None:
    assert list(Store(tmp_path).stage("vision", FINGERPRINT).snapshot().files) == []
    stage = fill_stage(tmp_path, 3)
    snapshot = stage.snapshot()
    assert (snapshot.generation, snapshot.large, snapshot.leftovers) == (0, (), ())
    assert list(snapshot.parts) == sorted(snapshot.parts)
    assert list(snapshot.pieces()) == [Piece(name) for name in snapshot.parts]


def test_snapshot_puts_merged_rows_first(tmp_path: Path) -> None:
    stage = fill_stage(tmp_path, 3)
    compact(stage, min_parts=2)
    stage.append([vision_row("w")])
    snapshot = stage.snapshot()
    (large,) = snapshot.large
    assert list(snapshot.files) == [large.name, *snapshot.parts]
    assert next(iter(snapshot.pieces())) == Piece(large.name, 0)


def test_snapshot_leaves_out_what_was_replaced_and_never_counted(tmp_path: Path) -> None:
    stage = fill_stage(tmp_path, 3)
    small = {path.name: path.read_bytes() for path in (tmp_path / "vision").glob("*.parquet")}
    compact(stage, min_parts=2)
    folder = tmp_path / "vision" / "compacted"
    (first, _) = sorted(folder.glob("*.json"))
    counting = set(stage.snapshot().files)
    begin = f"{stage.settings_key}-{1:08d}"
    (folder / f"{begin}-{'0' * 16}.parquet").write_bytes(b"never counted")
    (folder / f"{stage.settings_key}-{9:08d}-{'0' * 16}.parquet").write_bytes(b"on its way")
    (folder / "notes.txt").write_text("mine")
    assert set(stage.snapshot().files) == counting
    assert stage.snapshot().leftovers == (f"compacted/{begin}-{'0' * 16}.parquet",)

    # The newest record but one lists what it replaced: as if the process had died there.
    second = folder / f"{stage.settings_key}-{2:08d}.json"
    second.unlink()
    for name, data in small.items():
        (tmp_path / "vision" / name).write_bytes(data)
    assert set(stage.snapshot().files) == counting
    assert {*small} < {*stage.snapshot().leftovers}
    compact(stage, min_parts=2)
    assert set(stage.snapshot().files) == counting
    assert stage.snapshot().leftovers == ()
    assert first.exists()
    assert (folder / "notes.txt").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}', '{"format": 2}', "null"])
def test_a_damaged_record_is_named(tmp_path: Path, content: str) -> None:
    stage = fill_stage(tmp_path, 3)
    compact(stage, min_parts=2)
    newest = max((tmp_path / "vision" / "compacted").glob("*.json"))
    newest.write_text(content)
    with pytest.raises(CorruptPartError, match=f"{newest.name} is damaged"):
        stage.snapshot()
