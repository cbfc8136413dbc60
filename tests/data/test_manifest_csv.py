"""Manifests as CSV: files written by hand or by spreadsheets, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.data.manifest import Manifest
from exvad.data.manifest_files import read_manifest, write_manifest
from exvad.data.records import ManifestError
from tests.helpers.manifests import CLASSES, HEADER, csv_problems, make_video


def test_parse_csv_reads_a_file_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "videos.csv"
    path.write_text(
        "# classes: Normal, Fighting, Road accident\n"
        "path, Split, label, events, num_frames, fps\n"
        "\n"
        "clips/street.mp4, train, Normal\n"
        '"clips/bar, night.mp4", TEST, Fighting; Road accident, '
        "Fighting:10-20; Road accident:30-45, 100, 29.97,,\n"
    )
    manifest = read_manifest(path)
    assert manifest.classes == CLASSES
    street, bar = manifest.videos
    assert (street.video_id, street.abnormal, street.num_frames) == ("street", False, None)
    assert (bar.video_id, bar.split, bar.fps) == ("bar, night", "test", 29.97)
    assert bar.path == str(tmp_path / "clips" / "bar, night.mp4")
    assert bar.class_events() == [(10, 20, "Fighting"), (30, 45, "Road accident")]


def test_parse_csv_reads_files_of_spreadsheets(tmp_path: Path) -> None:
    plain = (
        "# classes: Normal,Fighting\npath,split,labels\nä.mp4,train,Normal\nb.mp4,val,Fighting\n"
    )
    padded = "# classes: Normal,Fighting,,\npath,split,labels,\nä.mp4,train,Normal,\n,,,\n"
    padded += "b.mp4,val,Fighting,\n"
    (tmp_path / "plain.csv").write_text(plain)
    (tmp_path / "bom.csv").write_bytes(plain.replace("\n", "\r\n").encode("utf-8-sig"))
    (tmp_path / "padded.csv").write_text(padded)
    expected = read_manifest(tmp_path / "plain.csv")
    assert read_manifest(tmp_path / "bom.csv") == expected
    assert read_manifest(tmp_path / "padded.csv") == expected
    for mark in ("sep=,\n", "SEP=,\r\n", "sep=,,,\n"):
        (tmp_path / "excel.csv").write_bytes((mark + plain).encode("utf-8-sig"))
        assert read_manifest(tmp_path / "excel.csv") == expected


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", ": there is no column 'path'"),
        (HEADER, ": the manifest has no videos; add one row per video"),
        ("path,labels\na.mp4,Normal\n", ": there is no column 'split'"),
        (HEADER.replace("labels", "labels,event"), "'event', did you mean 'events'?"),
        (HEADER.replace(",", ";"), ", separate columns by commas"),
        ("sep=;\n" + HEADER.replace(",", ";"), ", separate columns by commas"),
        *(
            (HEADER.encode(code), ":1: this is not UTF-8 but UTF-16")
            for code in ("utf-16", "utf-16-le", "utf-16-be")
        ),
        (b"PK\x03\x04\x14\0", ":1: this is an Excel file; save it as 'CSV UTF-8' in Excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", ":1: this is an Excel file"),
        ("path,split,label,labels\n", ": there are two columns 'labels'; remove one"),
        (
            HEADER + "a.mp4,train,Fighting\n",
            ": no row has the label 'normal', so which class is the normal",
        ),
        ("# clases: Normal\n" + HEADER, ":1: '# clases: Normal' does not name classes"),
        ("# classes: Normal\n" + HEADER, ": the classes are Normal; name the normal class"),
        ("# classes: Normal,a,a\n" + HEADER, ": the class 'a' is named twice"),
        ("# classes: Normal,,a\n" + HEADER, ": the class name '' is empty"),
        ("# classes: Normal,a;b\n" + HEADER, ": the class name 'a;b' is empty, or has"),
        (HEADER + 'a.mp4,train,Normal\n\nb.mp4,"train,x\n', ":4: this is not CSV"),
        (HEADER.encode() + b"a.mp4,train,Normal\n\xff.mp4,", ":3: this is not UTF-8"),
    ],
)
def test_parse_csv_names_what_is_wrong_with_a_file(
    tmp_path: Path, text: str | bytes, what: str
) -> None:
    assert any(what in problem for problem in csv_problems(tmp_path, text))


@pytest.mark.parametrize("mark", [";", "\t"])
def test_parse_csv_names_another_separator_once(tmp_path: Path, mark: str) -> None:
    (problem,) = csv_problems(tmp_path, (HEADER + "a.mp4,train,Normal\n").replace(",", mark))
    assert problem.endswith("is a single column, separate columns by commas")


def test_parse_csv_lists_the_columns_once(tmp_path: Path) -> None:
    problems = csv_problems(tmp_path, "paths,labels,colour\na.mp4,Normal,red\n")
    assert sum("; the columns are video_id, path" in problem for problem in problems) == 1
    assert sum("column" in problem for problem in problems) == 4


def test_write_csv_refuses_what_it_cannot_store(tmp_path: Path) -> None:
    odd = Manifest(CLASSES, (make_video("a", path="/videos/two\nlines.mp4"),))
    with pytest.raises(ManifestError, match=r"has a line break .* write \.parquet"):
        write_manifest(odd, tmp_path / "videos.csv")
    assert not list(tmp_path.iterdir())
    write_manifest(odd, tmp_path / "videos.parquet")
    assert read_manifest(tmp_path / "videos.parquet") == odd
