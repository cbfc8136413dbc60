"""The log of failures lists the latest failure of each input and stage."""

from __future__ import annotations

from pathlib import Path

from exvad.store.store import Store
from tests.helpers.feature_store import part_files


def test_rows_returns_the_latest_failure_of_each_id_and_stage(tmp_path: Path) -> None:
    log = Store(tmp_path).failures
    assert log.rows() == []
    log.append("a", "vision", "OSError", "first")
    log.append("a", "vision", "ValueError", "second")
    log.extend([("b", "vision", "OSError", "x" * 9000), ("a", "language", "E", "m")])
    log.extend([])
    listed = [(row["id"], row["stage"], row["error"]) for row in log.rows()]
    assert listed == [
        ("a", "language", "E"),
        ("a", "vision", "ValueError"),
        ("b", "vision", "OSError"),
    ]
    assert len(log.rows()[2]["message"]) == 4000
    assert log.path == str(tmp_path / "failures")


def test_rows_excludes_ids_that_succeeded_later(tmp_path: Path) -> None:
    log = Store(tmp_path).failures
    log.extend([("a", "vision", "E", "m"), ("b", "vision", "E", "m"), ("c", "language", "E", "m")])
    assert [row["id"] for row in log.rows("vision", done={"a"})] == ["b"]


def test_clear_deletes_the_selected_failures_only(tmp_path: Path) -> None:
    log = Store(tmp_path).failures
    for video_id, stage in [("a", "vision"), ("b", "vision"), ("a", "language")]:
        log.append(video_id, stage, "E", "m")
    log.clear(["a"], stage="vision")
    assert [(row["id"], row["stage"]) for row in log.rows()] == [("a", "language"), ("b", "vision")]
    log.clear(["nobody"])
    assert len(log.rows()) == 2
    log.clear(stage="vision")
    assert [row["stage"] for row in log.rows()] == ["language"]
    log.clear()
    assert log.rows() == []
    assert part_files(tmp_path, "failures") == []


def test_read_files_reads_new_files_only_and_forgets_deleted_ones(tmp_path: Path) -> None:
    log = Store(tmp_path).failures
    log.append("a", "vision", "E", "m")
    known = log.read_files()
    (name,) = known
    log.append("b", "vision", "E", "m")
    known[name][0]["message"] = "from before"
    found = log.read_files(known)
    assert [rows[0]["message"] for rows in found.values()] == ["from before", "m"]
    log.clear(["a"])
    assert name not in log.read_files(found)


def test_merge_keeps_what_others_append_meanwhile(tmp_path: Path) -> None:
    log = Store(tmp_path).failures
    for video_id in ("a", "b"):
        log.append(video_id, "vision", "E", "m")
    known = log.read_files()
    log.append("c", "vision", "E", "m")
    log.merge(known)
    log.append("d", "vision", "E", "m")
    assert [row["id"] for row in log.rows()] == ["a", "b", "c", "d"]
    assert len(part_files(tmp_path, "failures")) == 2
