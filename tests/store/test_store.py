"""The feature store keeps every row once, whole, and of one making."""

from __future__ import annotations

import errno
import itertools
import json
import os
import pickle
import re
import resource
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
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import exvad
from exvad.store.store import CorruptPartError, FingerprintError, Stage, Store, remaining

WIDTH = 8
PRINT = {"clip": {"model": "tiny", "pretrained": "world"}, "stride": 16, "crops": (0,)}


def vision_row(video: str = "v", chunk: int = 0, num_chunks: int = 1, **changed: Any) -> Any:
    """A row of one chunk of 4 snippets; the same arguments give the same row."""
    rng = np.random.default_rng([*video.encode(), chunk])
    first = 4 * chunk
    row = {
        "video_id": video,
        "chunk": chunk,
        "crop": 0,
        "first_snippet": first,
        "num_chunks": num_chunks,
        "visual": rng.normal(size=(4, WIDTH)).astype(np.float32),
        "times": (np.arange(4) + first) * 0.5,
        "caption_snippets": np.array([first, first + 2]),
        "captions": [f"{video} at {first}", f"{video} at {first + 2}"],
        "num_frames": 64 * num_chunks,
        "fps": 25.0,
    }
    return row | changed


def language_row(video: str = "v", **changed: Any) -> Any:
    """A row of one video with 2 captions."""
    rng = np.random.default_rng([1, *video.encode()])
    row = {
        "video_id": video,
        "captions": ["a man", "a ghost"],
        "caption_snippets": [0, 2],
        "cleaned_captions": ["a man", "a man"],
        "changed": 1,
        "explanation": "Nothing happens.",
        "record": json.dumps({"anomalous": False, "category": "Normal"}),
        "text": rng.normal(size=WIDTH),
        "caption_text": rng.normal(size=(2, WIDTH)),
        "llm": "tiny",
        "prompt": "why?",
    }
    return row | changed


ROWS = [vision_row(video, chunk, 3) for video in ("a", "b") for chunk in range(3)]


def parts(root: Path, stage: str = "vision") -> list[str]:
    return sorted(p.name for p in (root / stage).iterdir() if p.name != "stage.json")


def test_rows_come_back_as_they_went_in_sorted_by_key(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", PRINT)
    stage.append([vision_row("b"), vision_row("a", 1, 2)])
    stage.append([vision_row("a", 0, 2)])
    table = Store(tmp_path).read_stage("vision").table()
    rows = table.to_pylist()
    assert [(row["video_id"], row["chunk"]) for row in rows] == [("a", 0), ("a", 1), ("b", 0)]
    for row in rows:
        wanted = vision_row(row["video_id"], row["chunk"], row["num_chunks"])
        for column, value in wanted.items():
            kind = np.float16 if column == "visual" else None
            np.testing.assert_array_equal(np.array(row[column]), np.array(value, kind))
    assert table.schema.field("visual").type.value_type.list_size == WIDTH


def test_language_rows_come_back_too_even_without_captions(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("language", PRINT)
    silent = {"captions": [], "caption_snippets": [], "cleaned_captions": [], "changed": 0}
    stage.append([language_row("b"), language_row("a", caption_text=[], **silent)])
    rows = stage.table(["caption_text", "video_id", "text"]).to_pylist()
    assert [len(row["caption_text"]) for row in rows] == [0, 2]
    assert list(rows[0]) == ["caption_text", "video_id", "text"]
    np.testing.assert_array_equal(rows[1]["text"], language_row("b")["text"].astype(np.float16))


def test_a_table_is_taken_like_rows(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "1").stage("vision", {}), Store(tmp_path / "2").stage("vision", {})
    one.append(ROWS)
    two.append(one.table())
    loose = [row | {"visual": row["visual"].astype(np.float16).tolist()} for row in ROWS]
    three = Store(tmp_path / "3").stage("vision", {})
    three.append(pa.Table.from_pylist(loose))
    assert one.digest() == two.digest() == three.digest()


def test_a_ragged_numpy_column_is_taken_like_rows(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "1").stage("vision", {}), Store(tmp_path / "2").stage("vision", {})
    one.append([vision_row()])
    ragged = np.empty(4, object)
    ragged[:] = list(vision_row()["visual"])
    two.append([vision_row(visual=ragged)])
    assert one.digest() == two.digest()


def test_a_store_works_at_any_uri(tmp_path: Path) -> None:
    digests = []
    for root in (str(tmp_path / "plain"), f"file://{tmp_path}/uri", f"memory://{uuid.uuid4().hex}"):
        store = Store(root)
        store.stage("vision", PRINT).append(ROWS[:4])
        store.stage("vision", PRINT).append(ROWS[4:])
        store.failures.append("c", "vision", "OSError", "gone")
        store.failures.clear(["c"])
        assert store.failures.rows() == []
        digests.append(Store(root).read_stage("vision").digest())
        with pytest.raises(FingerprintError):
            store.stage("vision", {})
        assert store.stage("vision", {}, fresh=True).keys() == set()
    assert len(set(digests)) == 1


def test_an_unknown_protocol_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="cannot open the store 'nosuch://x'"):
        Store("nosuch://x")


@given(st.permutations(range(len(ROWS))), st.sets(st.integers(1, len(ROWS) - 1)), st.data())
@settings(max_examples=25, deadline=None)
def test_any_split_of_the_rows_in_any_order_is_the_same_store(
    order: list[int], cuts: set[int], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.integers(0, len(ROWS) - 1), max_size=3))
    root = Path(tempfile.mkdtemp())
    try:
        whole = Store(root / "whole").stage("vision", PRINT)
        whole.append(ROWS)
        split = Store(root / "split").stage("vision", PRINT)
        edges = [0, *sorted(cuts), len(ROWS)]
        for start, end in itertools.pairwise(edges):
            split.append([ROWS[i] for i in order[start:end]])
        split.append([ROWS[i] for i in again])
        assert split.digest() == whole.digest()
        assert split.table().equals(whole.table())
    finally:
        shutil.rmtree(root)


@pytest.mark.parametrize(
    "change",
    [{"captions": ["x", "y"]}, {"visual": np.ones((4, WIDTH))}, {"fps": 24.0}, {"crop": 1}],
    ids=["captions", "visual", "fps", "crop"],
)
def test_any_change_of_content_changes_the_digest(tmp_path: Path, change: Any) -> None:
    one, two = Store(tmp_path / "1").stage("vision", {}), Store(tmp_path / "2").stage("vision", {})
    one.append([vision_row()])
    two.append([vision_row(**change)])
    assert one.digest() != two.digest()


def test_the_earliest_of_duplicate_rows_counts(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", PRINT)
    stage.append([vision_row("a")])
    before = stage.digest()
    stage.append([vision_row("a", captions=["later", "later"])])
    assert stage.table(["captions"]).to_pylist() == [{"captions": ["a at 0", "a at 2"]}]
    assert stage.digest() == before
    assert len(parts(tmp_path)) == 2


def test_rows_of_some_videos_can_be_read_alone(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", PRINT)
    stage.append(ROWS)
    assert set(stage.table(video_ids=["b"])["video_id"].to_pylist()) == {"b"}
    assert stage.table(["captions"], video_ids=["none"]).num_rows == 0


def test_a_resumed_run_ends_in_the_store_of_an_undisturbed_one(tmp_path: Path) -> None:
    whole = Store(tmp_path / "whole").stage("vision", PRINT)
    whole.append(ROWS)
    Store(tmp_path / "cut").stage("vision", PRINT).append(ROWS[:2])
    resumed = Store(tmp_path / "cut").stage("vision", PRINT)
    planned = {(row["video_id"], row["chunk"], 0): row for row in ROWS}
    left = remaining(planned, resumed.keys())
    assert left == list(planned)[2:]
    resumed.append([planned[key] for key in left])
    assert resumed.digest() == whole.digest()
    assert remaining(planned, resumed.keys()) == []


def test_what_remains_keeps_its_order_and_comes_once() -> None:
    assert remaining(["d", "a", "c", "a", "b"], {"c"}, ["b"]) == ["d", "a"]
    assert remaining(iter([3, 1])) == [3, 1]


def test_no_rows_make_no_file(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", PRINT)
    stage.append([])
    assert parts(tmp_path) == []
    assert stage.table().num_rows == 0
    assert stage.table(["video_id"]).column_names == ["video_id"]
    assert stage.width is None


def test_another_fingerprint_is_refused_and_each_difference_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.stage("vision", PRINT).append([vision_row()])
    other = {"clip": {"model": "big", "pretrained": "world"}, "stride": 16, "prompt": "what?"}
    with pytest.raises(FingerprintError) as caught:
        store.stage("vision", other)
    message = str(caught.value)
    assert 'clip.model: "tiny" → "big"' in message
    assert "crops: [0] → (absent)" in message
    assert 'prompt: (absent) → "what?"' in message
    assert "--fresh" in message
    assert "stride" not in message
    assert "pretrained" not in message
    assert store.read_stage("vision").keys() == {("v", 0, 0)}


def test_fresh_deletes_rows_leftovers_and_failures_of_that_stage_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.stage("vision", PRINT).append([vision_row()])
    store.stage("language", PRINT).append([language_row()])
    store.failures.extend([("a", "vision", "E", "m"), ("a", "language", "E", "m")])
    (tmp_path / "vision" / ".half.parquet.0.tmp").write_bytes(b"PAR1")
    (tmp_path / "vision" / "notes.txt").write_text("mine")
    stage = store.stage("vision", {"stride": 8}, fresh=True)
    assert stage.keys() == set()
    assert parts(tmp_path) == ["notes.txt"]
    assert store.read_stage("vision").fingerprint == {"stride": 8}
    assert store.read_stage("language").keys() == {("v",)}
    assert [row["stage"] for row in store.failures.rows()] == ["language"]


def test_rows_without_a_fingerprint_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.stage("vision", PRINT).append([vision_row()])
    (tmp_path / "vision" / "stage.json").unlink()
    with pytest.raises(ValueError, match=r"no stage\.json.*--fresh"):
        store.stage("vision", PRINT)


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}', '{"format": 1, "fingerprint": 3}'])
def test_a_damaged_fingerprint_is_named(tmp_path: Path, content: str) -> None:
    store = Store(tmp_path)
    store.stage("vision", PRINT)
    (tmp_path / "vision" / "stage.json").write_text(content)
    with pytest.raises(ValueError, match=r"stage\.json is damaged"):
        store.read_stage("vision")


def test_a_store_of_another_format_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.stage("vision", PRINT)
    (tmp_path / "vision" / "stage.json").write_text('{"format": 99, "fingerprint": {}}')
    with pytest.raises(ValueError, match="is of format 99"):
        store.stage("vision", PRINT)


@pytest.mark.parametrize("value", [object(), float("nan")], ids=["object", "nan"])
def test_a_fingerprint_must_be_json(tmp_path: Path, value: object) -> None:
    with pytest.raises(ValueError, match="fingerprint of stage vision"):
        Store(tmp_path).stage("vision", {"model": value})


def test_reading_a_stage_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no language stage.*preprocess"):
        Store(tmp_path).read_stage("language")


def test_a_stage_opened_for_reading_takes_no_rows(tmp_path: Path) -> None:
    Store(tmp_path).stage("vision", PRINT)
    with pytest.raises(ValueError, match="opened for reading"):
        Store(tmp_path).read_stage("vision").append([vision_row()])


BAD = np.ones((4, WIDTH))
NAN, ZERO, HUGE, TINY = BAD.copy(), BAD.copy(), BAD.copy(), BAD.copy()
NAN[2, 1], ZERO[3], HUGE[1, 0], TINY[0] = np.nan, 0, 1e6, 1e-9


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"visual": NAN}, r"visual\[2\] is not finite"),
        ({"visual": HUGE}, r"visual\[1\] is not finite in float16"),
        ({"visual": ZERO}, r"visual\[3\] is all zeros"),
        ({"visual": TINY}, r"visual\[0\] is all zeros"),
        ({"visual": np.ones((0, WIDTH))}, r"shape \[0, 8\]"),
        ({"visual": np.ones(WIDTH)}, r"shape \[8\]"),
        ({"visual": [[1.0, 2.0], [1.0]]}, "visual is not a rectangle"),
        ({"visual": None}, "visual"),
        ({"times": [0.0, 1.0]}, "times must be 4 finite numbers"),
        ({"times": [0.0, 1.0, 2.0, np.inf]}, "times must be 4 finite numbers"),
        ({"captions": ["one"]}, "1 captions, 2 caption_snippets"),
        ({"captions": ["one", None]}, "captions holds a null"),
        ({"captions": ["one", 2]}, "captions"),
        ({"caption_snippets": [0, 4]}, "global snippet numbers in 0…3"),
        ({"chunk": 1}, "chunk 1 is not one of num_chunks 1"),
        ({"first_snippet": 3}, "first_snippet 3"),
        ({"num_frames": 0}, "num_frames 0"),
        ({"fps": float("nan")}, "fps nan"),
        ({"chunk": 2**40}, "chunk"),
        ({"video_id": ""}, "video_id is empty"),
        ({"surprise": 1}, "unknown columns"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_vision_row_is_refused_by_name(tmp_path: Path, change: Any, complaint: str) -> None:
    stage = Store(tmp_path).stage("vision", PRINT)
    name = re.escape(f"vision row (video_id={change.get('video_id', 'bad')!r}, chunk=")
    with pytest.raises(ValueError, match=f"{name}.*{complaint}"):
        stage.append([vision_row("good"), vision_row("bad", **change)])
    assert parts(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"text": np.zeros(WIDTH)}, r"text\[0\] is all zeros"),
        ({"text": np.ones((2, WIDTH))}, r"text has shape \[2, 8\]"),
        ({"caption_text": np.ones((2, WIDTH + 1))}, "caption_text is 9 wide"),
        ({"caption_text": np.ones((1, WIDTH))}, "2 captions but 1 caption_text"),
        ({"cleaned_captions": ["a"]}, "2 captions but 1 cleaned_captions"),
        ({"changed": 3}, "changed is 3 of 2"),
        ({"caption_snippets": [-1, 0]}, "negative"),
        ({"record": "{"}, "record is not JSON"),
        ({"record": "[]"}, "record is not a JSON object"),
        ({"explanation": None}, "explanation holds a null"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_language_row_is_refused_by_name(
    tmp_path: Path, change: Any, complaint: str
) -> None:
    stage = Store(tmp_path).stage("language", PRINT)
    with pytest.raises(ValueError, match=rf"language row \(video_id='bad'\).*{complaint}"):
        stage.append([language_row("good"), language_row("bad", **change)])
    assert parts(tmp_path, "language") == []


def test_features_of_another_width_are_refused_by_a_later_writer(tmp_path: Path) -> None:
    Store(tmp_path).stage("vision", PRINT).append([vision_row("a")])
    later = Store(tmp_path).stage("vision", PRINT)
    assert later.width == WIDTH
    with pytest.raises(ValueError, match=r"video_id='b'.*4 wide.*8 wide"):
        later.append([vision_row("b", visual=np.ones((4, 4)))])


def test_widths_that_two_writers_mixed_at_once_are_found_by_the_reader(tmp_path: Path) -> None:
    one, two = (Store(tmp_path).stage("vision", PRINT) for _ in range(2))
    assert one.width is two.width is None
    one.append([vision_row("a")])
    two._width = 4  # what a writer knows that looked before the other wrote
    two.append([vision_row("b", visual=np.ones((4, 4)))])
    with pytest.raises(ValueError, match=rf"{parts(tmp_path)[1]}.*8 wide"):
        Store(tmp_path).read_stage("vision").table()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing_and_names_stage_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    stage = Store(tmp_path).stage("vision", PRINT)
    stage.append([vision_row("a")])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(OSError, match="stage vision: cannot write: No space left") as caught:
            stage.append([vision_row("b")])
    assert caught.value.errno == errno.ENOSPC
    assert str(tmp_path / "vision") in str(caught.value)
    assert len(parts(tmp_path)) == 1
    stage.append([vision_row("b")])
    assert stage.keys() == {("a", 0, 0), ("b", 0, 0)}


def test_a_write_that_the_system_cuts_short_leaves_nothing(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", PRINT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="stage vision: cannot write") as caught:
            stage.append(ROWS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert parts(tmp_path) == []


def test_a_failing_remote_write_leaves_nothing_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Store(f"memory://{uuid.uuid4().hex}").stage("vision", PRINT)

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


def test_what_interrupted_writers_left_is_ignored(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", PRINT)
    stage.append(ROWS)
    (tmp_path / "vision" / ".0001.parquet.ab.tmp").write_bytes(b"PAR1 half a file")
    (tmp_path / "vision" / ".hidden.parquet").write_bytes(b"half")
    assert len(stage.keys()) == stage.table().num_rows == len(ROWS)


def end_of_visual(part: Path) -> int:
    """Where the features end in the file: the 190 bytes before are bare numbers."""
    group = pq.ParquetFile(part).metadata.row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    visual = next(c for c in columns if c.path_in_schema.startswith("visual"))
    return int(visual.data_page_offset + visual.total_compressed_size)


@pytest.mark.parametrize("damage", ["cut", "empty", "flip", "text"])
def test_a_damaged_part_is_named_with_what_to_do(tmp_path: Path, damage: str) -> None:
    stage = Store(tmp_path).stage("vision", PRINT)
    stage.append(ROWS[:3])
    stage.append(ROWS[3:])
    broken = tmp_path / "vision" / parts(tmp_path)[1]
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
    stage = Store(tmp_path).stage("vision", PRINT)
    pq.write_table(pa.table({"x": [1]}), tmp_path / "vision" / "foreign.parquet")
    with pytest.raises(CorruptPartError, match=r"foreign\.parquet has no column 'video_id'"):
        stage.keys()


def test_a_stage_can_be_sent_to_other_processes(tmp_path: Path) -> None:
    stage = Store(tmp_path).stage("vision", PRINT)
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
    home = str(Path(exvad.__file__).parents[1])
    command = [sys.executable, "-c", WRITER, str(root), name, str(count)]
    return subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, text=True)


def test_processes_append_at_once_without_losing_a_row(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path, name, 10) for name in ("x", "y")]
    for writer in writers:
        assert writer.communicate(timeout=60)[0] == "ready\n"
        assert writer.returncode == 0
    keys = Store(tmp_path).read_stage("vision").keys()
    assert keys == {(f"{name}-{number}", 0, 0) for name in ("x", "y") for number in range(10)}
    assert all(name.endswith(".parquet") for name in parts(tmp_path))


def test_a_killed_writer_leaves_a_readable_store(tmp_path: Path) -> None:
    with start_writer(tmp_path, "x", 10**6) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 60
        while not any(name.endswith(".parquet") for name in parts(tmp_path)):
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


def test_the_latest_failure_of_each_thing_is_listed(tmp_path: Path) -> None:
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


def test_a_later_success_supersedes_a_failure(tmp_path: Path) -> None:
    log = Store(tmp_path).failures
    log.extend([("a", "vision", "E", "m"), ("b", "vision", "E", "m"), ("c", "language", "E", "m")])
    assert [row["id"] for row in log.rows("vision", done={"a"})] == ["b"]


def test_cleared_failures_are_gone_and_the_others_stay(tmp_path: Path) -> None:
    log = Store(tmp_path).failures
    for id_, stage in [("a", "vision"), ("b", "vision"), ("a", "language")]:
        log.append(id_, stage, "E", "m")
    log.clear(["a"], stage="vision")
    assert [(row["id"], row["stage"]) for row in log.rows()] == [("a", "language"), ("b", "vision")]
    log.clear(["nobody"])
    assert len(log.rows()) == 2
    log.clear(stage="vision")
    assert [row["stage"] for row in log.rows()] == ["language"]
    log.clear()
    assert log.rows() == []
    assert parts(tmp_path, "failures") == []
