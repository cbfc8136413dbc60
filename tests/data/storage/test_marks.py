"""Marks show once per process whether its places are those of the job."""

from __future__ import annotations

import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from exvad.data.storage.marks import Marks, UnsharedPlaceError, marked
from exvad.data.storage.places import resolve_place
from exvad.store.store import Store
from tests.helpers.object_store import Faults, object_store

CHECK_TWICE = """
import pickle, sys
marks = pickle.loads(bytes.fromhex(sys.argv[1]))
marks.check()
marks.check()
"""


def check_elsewhere(marks: Marks) -> str:
    """Check marks twice in another process; return the last line of what it writes."""
    finished = subprocess.run(
        [sys.executable, "-c", CHECK_TWICE, pickle.dumps(marks).hex()],
        capture_output=True,
        text=True,
        check=False,
    )
    return (finished.stderr.strip() or "seen").splitlines()[-1]


def test_marks_are_read_once_in_another_process_and_not_in_this_one() -> None:
    with object_store() as bucket:
        with marked({"store": bucket.url("store")}) as marks:
            marks.check()
            assert bucket.proxy.count("GET", marks.name) == 0
            assert check_elsewhere(marks) == "seen"
            assert bucket.proxy.count("GET", marks.name) == 1
        assert bucket.names() == []
        assert "UnsharedPlaceError: store s3://" in check_elsewhere(marks)


def test_marks_of_another_disk_are_refused_with_place_and_node(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with marked({"run": f"{tmp_path}/run"}, {"store": f"{tmp_path}/store"}) as marks:
        assert check_elsewhere(marks) == "seen"
        (tmp_path / "store" / marks.name).unlink()
        error = check_elsewhere(marks)
    assert f"store {tmp_path}/store is not the same place on all nodes: " in error
    assert f"{socket.gethostname()} does not see the files of the job" in error
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_place_that_is_only_read_may_refuse_the_mark(tmp_path: Path) -> None:
    with object_store() as bucket:
        bucket.proxy.faults = [Faults("403", 99, "PUT")]
        with marked({"run": f"{tmp_path}"}, {"store": bucket.url("store")}) as marks:
            assert [setting for setting, _ in marks.places] == ["run"]
            assert check_elsewhere(marks) == "seen"


def test_place_that_is_only_read_is_not_made(tmp_path: Path) -> None:
    with marked(read={"store": f"{tmp_path}/typo/store"}) as marks:
        assert marks.places == ()
    assert not (tmp_path / "typo").exists()


def test_store_with_marks_that_are_missing_is_neither_written_nor_read(tmp_path: Path) -> None:
    absent = Marks("absent", (("store", resolve_place(tmp_path)),))
    Store(tmp_path).stage("vision", {})
    with pytest.raises(UnsharedPlaceError, match="is not the same place on all nodes"):
        Store(tmp_path, absent).stage("vision", {})
    with pytest.raises(UnsharedPlaceError, match="is not the same place on all nodes"):
        Store(tmp_path, absent).read_stage("vision")
