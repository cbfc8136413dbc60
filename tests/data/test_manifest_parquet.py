"""Manifests as Parquet: files of other tools, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from exvad.data.manifest_files import read_manifest
from exvad.data.records import Event
from tests.helpers.manifests import manifest_problems


def test_parse_parquet_reads_files_of_other_tools(tmp_path: Path) -> None:
    table = pa.table(
        {
            "path": ["a.mp4", "b.mp4"],
            "split": ["train", "test"],
            "label": ["Normal", "Fighting"],
            "num_frames": [float("nan"), 40.0],
            "fps": [25, None],
            "events": [None, "Fighting:3-9"],
        }
    )
    pq.write_table(table, tmp_path / "videos.parquet")
    a, b = read_manifest(tmp_path / "videos.parquet").videos
    assert (a.num_frames, a.fps, a.events) == (None, 25.0, ())
    assert (b.num_frames, b.fps, b.events) == (40, None, (Event(3, 9, "Fighting"),))


def test_parse_parquet_names_invalid_rows_with_their_number(tmp_path: Path) -> None:
    columns = {
        "path": ["a.mp4", "b.mp4"],
        "split": ["train", "test"],
        "labels": [["Normal"], ["Fightin"]],
        "events": [[], [{"start": 3, "end": None, "label": "Fighting"}]],
        "num_frames": [1.5, 2.0],
    }
    table = pa.table(columns).replace_schema_metadata({"exvad.classes": '["Normal", "Fighting"]'})
    pq.write_table(table, tmp_path / "videos.parquet")
    first, second, third = manifest_problems(tmp_path / "videos.parquet")
    assert first == ":row 1: num_frames is 1.5; it must be a whole number"
    assert second.startswith(":row 2: events is ")
    assert third.startswith(":row 2: unknown label 'Fightin', did you mean 'Fighting'?")
    pq.write_table(table.replace_schema_metadata({"exvad.classes": "{}"}), tmp_path / "v.parquet")
    assert "'exvad.classes' must be a JSON list" in manifest_problems(tmp_path / "v.parquet")[0]
