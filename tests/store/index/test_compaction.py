"""Merging parts loses no row and repeats none, whatever happens meanwhile."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exvad.data.storage.errors import StorageError
from exvad.data.storage.remote import retries
from exvad.store.index import compaction
from exvad.store.index.compaction import compact, is_worth_compacting
from exvad.store.index.spread import IN_THREADS
from exvad.store.parts import CorruptPartError
from exvad.store.store import Stage, Store
from exvad.store.survey import Survey
from tests.helpers.compaction import content, fill_stage, stage_files, start_worker
from tests.helpers.disks import fill, small_disk
from tests.helpers.feature_store import FINGERPRINT, language_row, vision_row
from tests.helpers.object_store import Faults, ObjectStore, object_store
from tests.helpers.waiting import holds_within


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    monkeypatch.setattr(retries, "FIRST_DELAY", 0.01)
    with object_store() as store:
        yield store


def counts(stage: Stage) -> dict[str, int]:
    """Return how many files of each kind count."""
    snapshot = stage.snapshot()
    return {"large": len(snapshot.large), "parts": len(snapshot.parts)}


@pytest.mark.parametrize("kind", ["disk", "bucket"])
def test_compact_keeps_the_rows_in_few_files(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    root = tmp_path if kind == "disk" else request.getfixturevalue("bucket").url("store")
    stage = fill_stage(root, 12, repeat=2)
    digest, rows = stage.digest(), content(stage)
    assert compact(stage, min_parts=2) == 24
    assert counts(stage) == {"large": 1, "parts": 0}
    assert stage.digest() == digest
    assert content(stage) == rows
    assert len(stage.table()) == len(stage.keys()) == 24
    # One large part with its keys, two records, and the settings.
    assert len(stage_files(root)) == 5
    reader = Store(root).read_stage("vision")
    assert reader.digest() == digest
    assert Survey(Store(root), ["v0", "v11", "w"]).missing() == {"w": "no features"}


def test_compact_leaves_few_parts_alone(tmp_path: Path) -> None:
    stage = fill_stage(tmp_path, 3)
    files = stage_files(tmp_path)
    assert not is_worth_compacting(stage.snapshot())
    assert compact(stage) == 0
    assert stage_files(tmp_path) == files


def test_compact_merges_what_is_added_later(tmp_path: Path) -> None:
    stage = fill_stage(tmp_path, 4)
    for turn in range(4):
        assert compact(stage, min_parts=2)
        stage.append([vision_row(f"w{turn}")])
        stage.append([vision_row(f"x{turn}")])
    assert len(stage.keys()) == 8 + 8
    assert counts(stage) == {"large": 1, "parts": 2}
    assert len(stage_files(tmp_path, "parquet")) == 3
    assert len(stage_files(tmp_path, "json")) <= 3


def test_first_row_counts_before_and_after_compaction(tmp_path: Path) -> None:
    stage = fill_stage(tmp_path, 3)
    compact(stage, min_parts=2)
    stage.append([vision_row("v0", 0, 2, captions=["too", "late"])])
    stage.append([vision_row("v1", 0, 2, captions=["too", "late"])])
    assert set(map(tuple, content(stage).values())) == {("first", "first")}
    compact(stage, min_parts=2)
    assert set(map(tuple, content(stage).values())) == {("first", "first")}
    assert len(stage.keys()) == 6


def test_compact_bounds_the_size_of_parts_and_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "PART_BYTES", 20_000)
    monkeypatch.setattr(compaction, "GROUP_BYTES", 4_000)
    monkeypatch.setattr(compaction, "PARTS_PER_TASK", 16)
    monkeypatch.setattr(compaction, "PARTS_PER_ROUND", 32)
    stage = fill_stage(tmp_path, 70)
    expected = {video: Survey(Store(tmp_path), [f"v{video}"]).lengths() for video in (0, 69)}
    digest = stage.digest()
    assert compact(stage, min_parts=2) == 70
    snapshot = stage.snapshot()
    assert len(snapshot.large) > 2
    assert all(part.size < 30_000 for part in snapshot.large)
    assert max(part.groups for part in snapshot.large) > 1
    assert stage.digest() == digest
    survey = Survey(Store(tmp_path), [f"v{video}" for video in range(70)])
    assert survey.missing() == {}
    assert survey.lengths()["v69"] == expected[69]["v69"]
    (piece,) = set(survey.pieces("vision", ["v0"])["v0"])
    table = stage.folder.read_part(piece.name, ["video_id"], piece.group)
    assert "v0" in table["video_id"].to_pylist()
    assert len(table) < 32  # the rows of a task


@pytest.mark.parametrize("stage_name", ["captions", "language"])
def test_compact_merges_every_stage(tmp_path: Path, stage_name: Any) -> None:
    store = Store(tmp_path)
    stage = store.stage(stage_name, FINGERPRINT)
    for number in range(5):
        row: dict[str, Any] = {"video_id": f"v{number}", "snippet": 3, "caption": "a man"}
        stage.append([row if stage_name == "captions" else language_row(f"v{number}")])
    digest = stage.digest()
    assert compact(stage, min_parts=2) == 5
    assert stage.digest() == digest
    assert store.read_stage(stage_name).table(video_ids=["v3"]).num_rows == 1


def test_compact_needs_storage_that_creates_atomically() -> None:
    stage = fill_stage("memory://compaction-of-tests", 4)
    assert compact(stage, min_parts=2) == 0
    assert counts(stage) == {"large": 0, "parts": 4}


def test_compact_refuses_features_of_two_widths(tmp_path: Path) -> None:
    one, two = (Store(tmp_path).stage("vision", FINGERPRINT) for _ in range(2))
    one.append([vision_row("a")])
    two._width = 4  # as if it had looked before the other one wrote
    two.append([vision_row("b", visual=np.ones((4, 4)))])
    with pytest.raises(ValueError, match="Another encoder made it"):
        compact(Store(tmp_path).stage("vision", FINGERPRINT), min_parts=2)
    assert counts(one) == {"large": 0, "parts": 2}


def test_compact_names_a_damaged_part(tmp_path: Path) -> None:
    stage = fill_stage(tmp_path, 3)
    name = stage.snapshot().parts[1]
    (tmp_path / "vision" / name).write_bytes(b"PAR1 no part")
    with pytest.raises(CorruptPartError, match=f"{name}.*delete it and run again"):
        compact(stage, min_parts=2)
    assert counts(stage) == {"large": 0, "parts": 3}


def test_compact_leaves_nothing_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "256k") as folder:
        stage = fill_stage(folder, 8)
        digest, files = stage.digest(), stage_files(folder)
        filler = fill(folder)
        with pytest.raises(OSError, match="No space left"):
            compact(stage, min_parts=2)
        assert stage_files(folder) == files
        filler.unlink()
        assert compact(stage, min_parts=2) == 8
        assert stage.digest() == digest


def test_a_damaged_large_part_may_be_deleted(tmp_path: Path) -> None:
    stage = fill_stage(tmp_path, 4)
    compact(stage, min_parts=2)
    (large,) = stage.snapshot().large
    (tmp_path / "vision" / large.name).write_bytes(b"PAR1 no part")
    with pytest.raises(CorruptPartError, match=f"{large.name}.*delete it and run again"):
        stage.table()
    (tmp_path / "vision" / large.name).unlink()
    assert Survey(Store(tmp_path), ["v0"]).missing() == {"v0": "no features"}
    stage.append([vision_row("v0")])
    assert stage.keys() == {("v0", 0, 0)}


def test_fresh_deletes_what_was_merged(tmp_path: Path) -> None:
    compact(fill_stage(tmp_path, 4), min_parts=2)
    stage = Store(tmp_path).stage("vision", {"stride": 8}, fresh=True)
    assert stage.keys() == set()
    assert stage_files(tmp_path) == ["vision/stage.json"]


def test_a_compaction_that_outlives_fresh_brings_no_row_back(tmp_path: Path) -> None:
    stage = fill_stage(tmp_path, 4)

    def spread(function: Callable[[Any], Any], arguments: Sequence[Any]) -> Iterator[Any]:
        yield from list(IN_THREADS(function, arguments))
        Store(tmp_path).stage("vision", {"stride": 8}, fresh=True).append([vision_row("new")])

    compact(stage, spread, min_parts=2)
    assert Store(tmp_path).read_stage("vision").keys() == {("new", 0, 0)}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_an_overtaken_compaction_gives_up(tmp_path: Path, moment: str, rounds: int) -> None:
    stage = fill_stage(tmp_path, 6)
    added = itertools.count()

    def others() -> None:
        for _ in range(rounds):
            assert compact(stage, min_parts=2)
            stage.append([vision_row(f"w{next(added)}")])
            stage.append([vision_row(f"w{next(added)}")])

    def spread(function: Callable[[Any], Any], arguments: Sequence[Any]) -> Iterator[Any]:
        if moment == "before":
            others()
        results = list(IN_THREADS(function, arguments))
        if moment == "after":
            others()
        yield from results

    assert compact(stage, spread, min_parts=2) == 0
    expected = {(f"v{v}", chunk, 0) for v in range(6) for chunk in range(2)}
    expected |= {(f"w{w}", 0, 0) for w in range(next(added))}
    assert stage.keys() == expected
    assert compact(stage, min_parts=2)
    assert stage.keys() == expected
    assert len(stage.table()) == len(expected)
    assert counts(stage) == {"large": 1, "parts": 0}
    assert len(stage_files(tmp_path, "parquet")) == 1


def test_a_reader_goes_on_while_its_parts_are_merged(tmp_path: Path) -> None:
    stage = fill_stage(tmp_path, 20)
    seen: list[Any] = []
    for number, table in enumerate(Store(tmp_path).read_stage("vision").iter_tables(["captions"])):
        seen += [(row["video_id"], row["chunk"]) for row in table.to_pylist()]
        if number == 2:
            stage.append([vision_row("w")])
            assert compact(stage, min_parts=2) == 21
    assert sorted(seen) == sorted({*content(stage)})


@pytest.mark.parametrize("kind", ["reset", "503"])
def test_a_lost_answer_to_the_record_changes_nothing(bucket: ObjectStore, kind: Any) -> None:
    stage = fill_stage(bucket.url("store"), 5)
    digest = stage.digest()
    bucket.proxy.faults = [Faults(kind, 2, "PUT", ".json", after=True)]
    assert compact(stage, min_parts=2) == 5
    assert stage.digest() == digest
    assert counts(stage) == {"large": 1, "parts": 0}


def test_storage_that_fails_costs_no_row(bucket: ObjectStore) -> None:
    stage = fill_stage(bucket.url("store"), 5)
    digest = stage.digest()
    for fault in (
        Faults("503", 99, "PUT", ".json"),
        Faults("503", 99, "PUT", ".json", after=True),
        Faults("503", 99, "POST", "delete"),
    ):
        bucket.proxy.faults = [fault]
        with pytest.raises(StorageError):
            compact(stage, min_parts=2)
        bucket.proxy.faults.clear()
        assert stage.digest() == digest
        stage.append([vision_row("v0", 0, 2, captions=["x", "y"])])
    compact(stage, min_parts=1)
    assert stage.digest() == digest
    assert len([name for name in bucket.names() if name.endswith("parquet")]) == 1


MOMENTS = [("PUT", ".keys", 1), ("PUT", ".json", 1), ("POST", "delete", 1), ("PUT", ".json", 2)]


@pytest.mark.parametrize(("method", "part", "nth"), MOMENTS)
def test_a_killed_compaction_costs_no_row(
    bucket: ObjectStore, method: str, part: str, nth: int
) -> None:
    root = bucket.url("store")
    stage = fill_stage(root, 6, repeat=2)
    digest, rows = stage.digest(), content(stage)
    bucket.proxy.requests.clear()
    bucket.proxy.delay = 0.2
    before = bucket.proxy.count(method, part)
    with start_worker("compact", root) as worker:
        assert holds_within(60, lambda: bucket.proxy.count(method, part) >= before + nth)
        worker.send_signal(signal.SIGKILL)
    bucket.proxy.delay = 0
    time.sleep(0.4)  # the request that was on its way has arrived
    assert stage.digest() == digest
    stage.append([vision_row("v0", 0, 2, captions=["x", "y"])])
    compact(stage, min_parts=1)
    assert content(stage) == rows
    assert counts(stage) == {"large": 1, "parts": 0}
    assert len([name for name in bucket.names() if name.endswith(("parquet", "keys"))]) == 2


@pytest.mark.parametrize("kind", ["disk", "bucket"])
def test_processes_merge_write_and_read_at_the_same_time(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    root = str(tmp_path) if kind == "disk" else request.getfixturevalue("bucket").url("store")
    stage = fill_stage(root, 20)
    always = stage.keys()
    workers = [
        *(start_worker("compact", root, count=40) for _ in range(2)),
        *(start_worker("write", root, name, 40) for name in ("x", "y")),
    ]
    written = {(f"{name}-{number}", 0, 0) for name in ("x", "y") for number in range(40)}
    try:
        known: set[tuple[Any, ...]] = set()
        while any(worker.poll() is None for worker in workers):
            tables = Store(root).read_stage("vision").iter_tables(["captions"])
            found = [
                (row["video_id"], row["chunk"], row["crop"])
                for table in tables
                for row in table.to_pylist()
            ]
            assert len(found) == len(set(found))
            assert always | known <= set(found) <= always | written
            known = set(found)
            assert not Survey(Store(root), [f"v{number}" for number in range(20)]).missing()
    finally:
        for worker in workers:
            worker.communicate(timeout=60)
    assert [worker.returncode for worker in workers] == [0] * 4
    compact(stage, min_parts=1)
    assert stage.keys() == always | written
    assert counts(stage) == {"large": 1, "parts": 0}
