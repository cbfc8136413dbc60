"""Files, folders, patterns and URIs as arguments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exvad.cli.video_arguments import describe_left_out, expand_videos, shown_name


@pytest.fixture
def footage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two cameras, a folder of frames and an empty folder."""
    for name in ("cam1/0001.mp4", "cam2/deep/0001.avi", "cam2/notes.txt", "frames/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_folders_stand_for_their_videos_in_the_form_that_was_given(footage: Path) -> None:
    assert expand_videos(["cam2", str(footage / "cam1"), "frames"]) == (
        ["cam2/deep/0001.avi", str(footage / "cam1/0001.mp4"), "frames"],
        {},
    )


def test_a_folder_with_images_and_videos_stands_for_its_videos(footage: Path) -> None:
    """As it does below a folder that is named."""
    (footage / "cam1" / "0001.jpg").touch()
    assert expand_videos(["cam1"])[0] == ["cam1/0001.mp4"]
    assert expand_videos(["."])[0] == ["cam1/0001.mp4", "cam2/deep/0001.avi", "frames"]
    (note,) = describe_left_out(["cam1", "cam2", "frames", "cam1/0001.mp4", "cam1", "no*", "\0"])
    assert note.startswith("cam1: 1 images beside its videos are left out; to read them as")
    assert describe_left_out(["."]) == describe_left_out(["cam*", "."]) == [note]
    assert describe_left_out(["cam1/*.mp4"]) == []


def test_patterns_stand_for_what_they_match(footage: Path) -> None:
    assert footage.is_dir()
    assert expand_videos(["cam?/*.mp4", "**/*.avi"])[0] == ["cam1/0001.mp4", "cam2/deep/0001.avi"]
    assert expand_videos(["cam*"])[0] == ["cam1/0001.mp4", "cam2/deep/0001.avi"]
    assert expand_videos(["cam1/0001.mp4", "cam1", "cam1/*"])[0] == ["cam1/0001.mp4"]


def test_a_pattern_names_a_folder_of_frames_once(footage: Path) -> None:
    for name in ("2.png", "notes.txt"):
        (footage / "frames" / name).touch()
    assert expand_videos(["frames/**"])[0] == ["frames"]
    assert expand_videos(["fra*/"])[0] == ["frames"]
    assert expand_videos(["**"])[0].count("frames") == 1
    assert not [name for name in expand_videos(["**"])[0] if name.startswith("frames/")]
    assert expand_videos(["frames/*.png"])[0] == ["frames/1.png", "frames/2.png"]


def test_a_file_with_marks_of_patterns_in_its_name_is_itself(footage: Path) -> None:
    (footage / "[1].mp4").touch()
    (footage / "1.mp4").touch()
    assert expand_videos(["[1].mp4"]) == (["[1].mp4"], {})


def test_what_names_no_video_is_said(footage: Path) -> None:
    assert footage.is_dir()
    assert expand_videos(["empty", "no*.mp4", "emp*"]) == (
        [],
        {
            "empty": "the folder has no videos",
            "no*.mp4": "nothing matches this pattern",
            "emp*": "no video matches this pattern",
        },
    )


def test_other_names_are_left_to_the_reader(footage: Path) -> None:
    assert footage.is_dir()
    names = ["missing.mp4", "", "a\0b", "x" * 5000, "s3://bucket/what?.mp4"]
    assert expand_videos(names) == (names, {})


def test_names_are_shown_as_text_without_passwords() -> None:
    assert shown_name("cam1/0001.mp4") == "cam1/0001.mp4"
    assert shown_name(os.fsdecode(b"caf\xe9.mp4")) == "caf�.mp4"
    assert shown_name("s3://key:secret@bucket/a.mp4") == "s3://bucket/a.mp4"
