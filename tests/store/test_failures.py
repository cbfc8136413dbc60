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
