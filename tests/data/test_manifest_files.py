"""Manifest files: a written manifest reads back the same, and all problems are listed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exvad.data.annotations.class_names import composed_name
from exvad.data.manifest import Manifest
from exvad.data.manifest_files import read_manifest, write_manifest
from exvad.data.records import Event, ManifestError, TimedEvent, Video
from exvad.data.storage.places import resolve_place
from tests.helpers.manifests import (
    CLASSES,
    HEADER,
    csv_problems,
    make_manifest,
    manifest_problems,
)

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
PLAIN_NAMES = NAMES.map(lambda text: "x" + text.replace("/", "·") + "x")


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Draw a valid manifest with names of any script, and each event once."""
    label = PLAIN_NAMES.map(lambda text: composed_name(text.replace(",", "").replace(";", "")))
    classes = draw(st.lists(label, min_size=2, max_size=5, unique=True))
    ids = draw(st.lists(PLAIN_NAMES, min_size=1, max_size=6, unique=True))
    interval = st.tuples(st.integers(0, 10**6), st.integers(1, 10**6)).map(
        lambda pair: (pair[0], pair[0] + pair[1])
    )
    videos = []
    for name in ids:
        abnormal_labels = st.lists(st.sampled_from(classes[1:]), max_size=3, unique=True)
        labels = tuple(draw(abnormal_labels)) or (classes[0],)
        event = st.builds(
            lambda pair, label: Event(pair[0], pair[1], label),
            interval,
            st.sampled_from(classes[1:]),
        )
        timed_event = st.builds(
            lambda start, length, label: TimedEvent(start, start + length, label),
            st.floats(0, 1e6),
            st.floats(0.001, 1e6),
            st.sampled_from(classes[1:]),
        )
        abnormal = labels != (classes[0],)
        videos.append(
            Video(
                name,
                draw(st.sampled_from(["/data/", "s3://bucket/", "/elsewhere/deep/"])) + name,
                draw(st.sampled_from(["train", "val", "test"])),
                labels,
                tuple(draw(st.lists(event, max_size=3, unique=True))) if abnormal else (),
                draw(st.none() | st.integers(1, 10**9)),
                draw(st.none() | st.floats(0.01, 1000)),
                draw(st.none() | st.integers(1, 10**6)),
                tuple(draw(st.lists(interval, max_size=2, unique=True))) if abnormal else (),
                tuple(draw(st.lists(timed_event, max_size=2, unique=True))) if abnormal else (),
            )
        )
    return Manifest(tuple(classes), tuple(videos))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@settings(max_examples=60, deadline=None)
@given(manifest=manifests())
def test_read_manifest_returns_the_written_manifest(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, manifest: Manifest
) -> None:
    path = tmp_path_factory.mktemp("written") / f"videos{suffix}"
    write_manifest(manifest, path)
    again = read_manifest(path)
    assert again == manifest
    assert again.fingerprint() == manifest.fingerprint()
    assert [v.abnormal for v in again.videos] == [v.abnormal for v in manifest.videos]


@pytest.mark.parametrize("name", ["videos.csv", "videos.parquet"])
def test_a_manifest_and_its_videos_move_together(tmp_path: Path, name: str) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    one = Video("one", str(here / "clips" / "one.mp4"), "train", ("Normal",))
    two = Video("two", "s3://bucket/two.mp4", "train", ("Fighting",))
    write_manifest(Manifest(CLASSES, (one, two)), here / name)
    here.rename(there)
    moved = read_manifest(there / name)
    assert moved.videos[0].path == str(there / "clips" / "one.mp4")
    assert moved.videos[1].path == "s3://bucket/two.mp4"


def test_read_manifest_gives_absolute_video_paths_for_a_relative_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "videos.csv").write_text(HEADER + "a.mp4,train,Normal\nb.mp4,train,Fight\n")
    monkeypatch.chdir(tmp_path)
    assert read_manifest("videos.csv").videos[0].path == str(tmp_path / "a.mp4")


def test_read_manifest_without_classes_puts_the_normal_class_first_and_sorts_the_others(
    tmp_path: Path,
) -> None:
    path = tmp_path / "videos.csv"
    path.write_text(HEADER + "a.mp4,train,theft\nb.mp4,train,normal\nc.mp4,train,Arson;theft\n")
    assert read_manifest(path).classes == ("normal", "Arson", "theft")
    assert not read_manifest(path).videos[1].abnormal
    assert read_manifest(path, ("normal", "theft", "Arson")).classes == ("normal", "theft", "Arson")


def test_read_manifest_lists_all_problems_in_order_and_shows_twenty(tmp_path: Path) -> None:
    path = tmp_path / "videos.csv"
    path.write_text(
        "# classes: Normal, Fighting\npath,split,labels,fps\n"
        + "".join(f"{i}.mp4,{'train' if i % 2 else 'trian'},Normal,-1\n" for i in range(20))
    )
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    lines = [int(problem.split(":")[1]) for problem in caught.value.problems]
    assert len(lines) == 30
    assert lines == sorted(lines)
    shown = str(caught.value).splitlines()
    assert len(shown) == 22
    assert shown[20] == "… and 10 more problems"
    assert "Correct the problems above" in shown[21]


def test_read_manifest_lists_problems_of_parsing_and_of_content_together(tmp_path: Path) -> None:
    text = "# classes: Normal, Fighting\npath,split,labels,fps\n"
    text += "a.mp4,train,Fight,25\nb.mp4,tset,Normal,x\n"
    problems = csv_problems(tmp_path, text)
    assert [problem[:3] for problem in problems] == [":3:", ":4:", ":4:"]


def test_read_manifest_names_an_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and then nothing of the kind")
    (tmp_path / "empty.parquet").write_bytes(b"")
    (tmp_path / "folder.csv").mkdir()
    assert "this is not a Parquet file" in manifest_problems(tmp_path / "broken.parquet")[0]
    assert "this is not a Parquet file" in manifest_problems(tmp_path / "empty.parquet")[0]
    assert "cannot be read: Is a directory" in manifest_problems(tmp_path / "folder.csv")[0]
    assert "No such file" in manifest_problems(tmp_path / "missing.csv")[0]
    assert "must end in .parquet or .csv" in manifest_problems(tmp_path / "videos.json")[0]


@pytest.mark.parametrize("name", ["videos.csv", "videos.parquet"])
def test_write_manifest_leaves_the_old_file_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    old = make_manifest(2)
    write_manifest(old, tmp_path / name)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_manifest(make_manifest(3), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert read_manifest(tmp_path / name) == old


def test_manifest_in_a_bucket_moves_with_its_videos() -> None:
    paths = ("memory://lists/mine/videos/one.mp4", "s3://bucket/two.mp4", "/videos/three.mp4")
    videos = [Video(Path(path).stem, path, "train", ("Normal",)) for path in paths]
    manifest = Manifest(CLASSES, tuple(videos))
    for suffix in ("csv", "parquet"):
        uri = f"memory://lists/mine/manifest.{suffix}"
        write_manifest(manifest, uri)
        assert read_manifest(uri) == manifest
        other = f"memory://moved/manifest.{suffix}"
        resolve_place(other).write_bytes(resolve_place(uri).read_bytes())
        moved = [video.path for video in read_manifest(other).videos]
        assert moved == ["memory://moved/videos/one.mp4", *paths[1:]]
