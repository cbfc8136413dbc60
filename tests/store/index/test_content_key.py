"""The key of a stage's content is another one if and only if its features may be others."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.store.index import compaction
from exvad.store.index.compaction import compact
from exvad.store.index.content_key import content_key
from exvad.store.store import Store
from tests.helpers.feature_store import FINGERPRINT, vision_row


def filled(root: Path, *videos: str) -> Store:
    """Return a store with a part per video."""
    store = Store(root)
    stage = store.stage("vision", FINGERPRINT)
    for video in videos:
        stage.append([vision_row(video)])
    return store


def key(store: Store, *videos: str) -> str:
    return content_key(store.read_stage("vision"), videos or ("a", "b"))


def test_a_compaction_and_a_repeated_row_change_nothing(tmp_path: Path) -> None:
    store = filled(tmp_path, "a", "b")
    before = key(store)
    stage = store.stage("vision", FINGERPRINT)
    stage.append([vision_row("b")])
    assert key(store) == before
    assert compact(stage, min_parts=1) == 3
    assert key(store) == before


def test_a_compaction_that_cuts_between_the_crops_of_a_chunk_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    stage = store.stage("vision", FINGERPRINT)
    for video in ("b", "a"):
        rows = [vision_row(video, chunk, 3, crop=crop) for chunk in range(3) for crop in range(5)]
        stage.append(rows)
    before = key(store)
    monkeypatch.setattr(compaction, "GROUP_BYTES", 500)
    assert compact(stage, min_parts=1) == 2
    entries_k = store.read_stage("vision").index().entries_k
    assert len(entries_k) > 6
    assert key(store) == before
    stage.append([vision_row("a", 2, 3, crop=5)])
    assert key(store) != before


def test_rows_of_the_videos_count_and_those_of_others_do_not(tmp_path: Path) -> None:
    store = filled(tmp_path, "a")
    before = key(store)
    stage = store.stage("vision", FINGERPRINT)
    stage.append([vision_row("other")])
    assert key(store) == before
    stage.append([vision_row("b")])
    assert key(store) != before


def test_a_stage_that_was_started_over_is_another_one(tmp_path: Path) -> None:
    store = filled(tmp_path / "one", "a", "b")
    before = key(store)
    store.stage("vision", FINGERPRINT, fresh=True).append([vision_row("a"), vision_row("b")])
    assert key(store) != before
    assert key(filled(tmp_path / "two", "a", "b")) not in (before, key(store))


def test_a_stage_without_an_id_has_a_key(tmp_path: Path) -> None:
    store = filled(tmp_path, "a")
    file = tmp_path / "vision" / "stage.json"
    text = file.read_text()
    file.write_text(text.replace('"id"', '"before"'))
    assert key(store) == key(store)
