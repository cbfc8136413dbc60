"""The feature store: rows are stored once and completely, by any number of writers."""

from __future__ import annotations

import itertools
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import exvad
from exvad.store.fingerprint import FingerprintError
from exvad.store.store import Stage, Store, remaining
from tests.helpers.feature_store import (
    FINGERPRINT,
    ROWS,
    WIDTH,
    language_row,
    part_files,
    vision_row,
)


def test_table_returns_the_stored_rows_sorted_by_key(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", FINGERPRINT)
    stage.append([vision_row("b"), vision_row("a", 1, 2)])
    stage.append([vision_row("a", 0, 2)])
    table = Store(tmp_path).read_stage("vision").table()
    rows = table.to_pylist()
    assert [(row["video_id"], row["chunk"]) for row in rows] == [("a", 0), ("a", 1), ("b", 0)]
    for row in rows:
        expected = vision_row(row["video_id"], row["chunk"], row["num_chunks"])
        for column, value in expected.items():
            kind = np.float16 if column == "visual" else None
            np.testing.assert_array_equal(np.array(row[column]), np.array(value, kind))
    assert table.schema.field("visual").type.value_type.list_size == WIDTH


def test_table_returns_language_rows_even_without_captions(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("language", FINGERPRINT)
    silent = {"captions": [], "caption_snippets": [], "cleaned_captions": [], "changed": 0}
    stage.append([language_row("b"), language_row("a", caption_text=[], **silent)])
    rows = stage.table(["caption_text", "video_id", "text"]).to_pylist()
    assert [len(row["caption_text"]) for row in rows] == [0, 2]
    assert list(rows[0]) == ["caption_text", "video_id", "text"]
    np.testing.assert_array_equal(rows[1]["text"], language_row("b")["text"].astype(np.float16))


def test_append_accepts_a_table(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "1").stage("vision", {}), Store(tmp_path / "2").stage("vision", {})
    one.append(ROWS)
    two.append(one.table())
    loose = [row | {"visual": row["visual"].astype(np.float16).tolist()} for row in ROWS]
    three = Store(tmp_path / "3").stage("vision", {})
    three.append(pa.Table.from_pylist(loose))
    assert one.digest() == two.digest() == three.digest()


def test_append_accepts_a_ragged_numpy_column(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "1").stage("vision", {}), Store(tmp_path / "2").stage("vision", {})
    one.append([vision_row()])
    ragged = np.empty(4, object)
    ragged[:] = list(vision_row()["visual"])
    two.append([vision_row(visual=ragged)])
    assert one.digest() == two.digest()


def test_append_without_rows_writes_no_file(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", FINGERPRINT)
    stage.append([])
    assert part_files(tmp_path) == []
    assert stage.table().num_rows == 0
    assert stage.table(["video_id"]).column_names == ["video_id"]
    assert stage.width is None


def test_append_is_refused_for_a_stage_opened_for_reading(tmp_path: Path) -> None:
    Store(tmp_path).stage("vision", FINGERPRINT)
    with pytest.raises(ValueError, match="opened for reading"):
        Store(tmp_path).read_stage("vision").append([vision_row()])


def test_store_works_at_any_uri(tmp_path: Path) -> None:
    digests = []
    for root in (str(tmp_path / "plain"), f"file://{tmp_path}/uri", f"memory://{uuid.uuid4().hex}"):
        store = Store(root)
        store.stage("vision", FINGERPRINT).append(ROWS[:4])
        store.stage("vision", FINGERPRINT).append(ROWS[4:])
        store.failures.append("c", "vision", "OSError", "gone")
        store.failures.clear(["c"])
        assert store.failures.rows() == []
        digests.append(Store(root).read_stage("vision").digest())
        with pytest.raises(FingerprintError):
            store.stage("vision", {})
        assert store.stage("vision", {}, fresh=True).keys() == set()
    assert len(set(digests)) == 1


def test_store_refuses_an_unknown_protocol_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="cannot open the store 'nosuch://x'"):
        Store("nosuch://x")


@given(st.permutations(range(len(ROWS))), st.sets(st.integers(1, len(ROWS) - 1)), st.data())
@settings(max_examples=25, deadline=None)
def test_digest_does_not_depend_on_how_rows_are_split_into_parts(
    order: list[int], cuts: set[int], data: st.DataObject
) -> None:
    repeated = data.draw(st.lists(st.integers(0, len(ROWS) - 1), max_size=3))
    root = Path(tempfile.mkdtemp())
    try:
        whole = Store(root / "whole").stage("vision", FINGERPRINT)
        whole.append(ROWS)
        split = Store(root / "split").stage("vision", FINGERPRINT)
        edges = [0, *sorted(cuts), len(ROWS)]
        for start, end in itertools.pairwise(edges):
            split.append([ROWS[i] for i in order[start:end]])
        split.append([ROWS[i] for i in repeated])
        assert split.digest() == whole.digest()
        assert split.table().equals(whole.table())
    finally:
        shutil.rmtree(root)


@pytest.mark.parametrize(
    "change",
    [{"captions": ["x", "y"]}, {"visual": np.ones((4, WIDTH))}, {"fps": 24.0}, {"crop": 1}],
    ids=["captions", "visual", "fps", "crop"],
)
def test_digest_changes_with_any_content(tmp_path: Path, change: Any) -> None:
    one, two = Store(tmp_path / "1").stage("vision", {}), Store(tmp_path / "2").stage("vision", {})
    one.append([vision_row()])
    two.append([vision_row(**change)])
    assert one.digest() != two.digest()


def test_the_earliest_of_duplicate_rows_counts(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", FINGERPRINT)
    stage.append([vision_row("a")])
    before = stage.digest()
    stage.append([vision_row("a", captions=["later", "later"])])
    assert stage.table(["captions"]).to_pylist() == [{"captions": ["a at 0", "a at 2"]}]
    assert stage.digest() == before
    assert len(part_files(tmp_path)) == 2


def test_table_selects_videos(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", FINGERPRINT)
    stage.append(ROWS)
    assert set(stage.table(video_ids=["b"])["video_id"].to_pylist()) == {"b"}
    assert stage.table(["captions"], video_ids=["none"]).num_rows == 0


def test_a_resumed_run_ends_in_the_store_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = Store(tmp_path / "whole").stage("vision", FINGERPRINT)
    whole.append(ROWS)
    Store(tmp_path / "cut").stage("vision", FINGERPRINT).append(ROWS[:2])
    resumed = Store(tmp_path / "cut").stage("vision", FINGERPRINT)
    planned = {(row["video_id"], row["chunk"], 0): row for row in ROWS}
    left = remaining(planned, resumed.keys())
    assert left == list(planned)[2:]
    resumed.append([planned[key] for key in left])
    assert resumed.digest() == whole.digest()
    assert remaining(planned, resumed.keys()) == []


def test_remaining_keeps_the_order_and_drops_duplicates() -> None:
    assert remaining(["d", "a", "c", "a", "b"], {"c"}, ["b"]) == ["d", "a"]
    assert remaining(iter([3, 1])) == [3, 1]


def test_read_stage_says_what_to_do_without_the_stage(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no language stage.*preprocess"):
        Store(tmp_path).read_stage("language")


def test_fresh_deletes_rows_leftovers_and_failures_of_that_stage_only(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.stage("vision", FINGERPRINT).append([vision_row()])
    store.stage("language", FINGERPRINT).append([language_row()])
    store.failures.extend([("a", "vision", "E", "m"), ("a", "language", "E", "m")])
    (tmp_path / "vision" / ".half.parquet.0.tmp").write_bytes(b"PAR1")
    (tmp_path / "vision" / "notes.txt").write_text("mine")
    stage = store.stage("vision", {"stride": 8}, fresh=True)
    assert stage.keys() == set()
    assert part_files(tmp_path) == ["notes.txt"]
    assert store.read_stage("vision").fingerprint == {"stride": 8}
    assert store.read_stage("language").keys() == {("v",)}
    assert [row["stage"] for row in store.failures.rows()] == ["language"]


def test_a_later_writer_cannot_add_features_of_another_width(tmp_path: Path) -> None:
    Store(tmp_path).stage("vision", FINGERPRINT).append([vision_row("a")])
    later = Store(tmp_path).stage("vision", FINGERPRINT)
    assert later.width == WIDTH
    with pytest.raises(ValueError, match=r"video_id='b'.*4 wide.*8 wide"):
        later.append([vision_row("b", visual=np.ones((4, 4)))])


def test_the_reader_finds_widths_that_concurrent_writers_mixed(tmp_path: Path) -> None:
    one, two = (Store(tmp_path).stage("vision", FINGERPRINT) for _ in range(2))
    assert one.width is two.width is None
    one.append([vision_row("a")])
    two._width = 4  # as if it had looked before the other one wrote
    two.append([vision_row("b", visual=np.ones((4, 4)))])
    with pytest.raises(ValueError, match=rf"{part_files(tmp_path)[1]}.*8 wide"):
        Store(tmp_path).read_stage("vision").table()


def test_a_stage_can_be_pickled(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", FINGERPRINT)
    copy: Stage = pickle.loads(pickle.dumps(stage))
    copy.append([vision_row()])
    assert stage.keys() == {("v", 0, 0)}


WRITER = """
import sys
import numpy as np
from exvad.store.store import Store
stage = Store(sys.argv[1]).stage("vision", {"stride": 16})
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    stage.append([{
        "video_id": f"{sys.argv[2]}-{number}", "chunk": 0, "crop": 0, "first_snippet": 0,
        "num_chunks": 1, "visual": np.ones((4, 8)), "times": [0.0, 1.0, 2.0, 3.0],
        "caption_snippets": [], "captions": [], "num_frames": 64, "fps": 25.0,
    }])
"""


def start_writer(root: Path, name: str, count: int) -> subprocess.Popen[str]:
    """Start a process that appends `count` rows."""
    home = str(Path(exvad.__file__).parents[1])
    command = [sys.executable, "-c", WRITER, str(root), name, str(count)]
    return subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, text=True)


def test_processes_append_concurrently_without_losing_a_row(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path, name, 10) for name in ("x", "y")]
    for writer in writers:
        assert writer.communicate(timeout=60)[0] == "ready\n"
        assert writer.returncode == 0
    keys = Store(tmp_path).read_stage("vision").keys()
    assert keys == {(f"{name}-{number}", 0, 0) for name in ("x", "y") for number in range(10)}
    assert all(name.endswith(".parquet") for name in part_files(tmp_path))


def test_a_killed_writer_leaves_a_readable_store(tmp_path: Path) -> None:
    with start_writer(tmp_path, "x", 10**6) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 60
        while not any(name.endswith(".parquet") for name in part_files(tmp_path)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.2)
        writer.send_signal(signal.SIGKILL)
    stage = Store(tmp_path).stage("vision", {"stride": 16})
    keys = stage.keys()
    assert keys == {(f"x-{number}", 0, 0) for number in range(len(keys))}
    assert stage.table().num_rows == len(keys) > 0
    stage.append([vision_row()])
    assert len(stage.keys()) == len(keys) + 1
