"""Patterns of paths."""

from __future__ import annotations

from glob import glob
from pathlib import Path

import pytest

from exvad.data.folders import matching_videos
from exvad.data.storage.patterns import matching_paths


@pytest.fixture
def footage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with folders in folders, a hidden one and marks of patterns in names."""
    names = ("a/1.mp4", "a/b/2.mp4", "a/b/c/3.mp4", ".d/4.mp4", "e[0]/f/5.mp4", "6.mp4", "a/.7.mp4")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "pattern",
    [
        *("*", "*.mp4", "**", "**/*.mp4", "a/**", "a/**/*.mp4", "a/**/c/*.mp4", "**/b/**/*.mp4"),
        *("**/**/*.mp4", "*/f/*", "**/f/*", "e?0?/**", "a/*/", "**/b", "./**/*.mp4", "x/**/*.mp4"),
        *("a/../*/**/*.mp4", "a/../**/2*", ".d/**"),
    ],
)
def test_matching_paths_are_those_of_glob_where_no_links_are(footage: Path, pattern: str) -> None:
    for name in (pattern, f"{footage}/{pattern}"):
        paths = {path for path in glob(name, recursive=True) if path}  # noqa: PTH207
        assert {path.rstrip("/") for path in matching_paths(name)} == {
            path.rstrip("/") for path in paths
        }


def test_links_to_folders_above_end(footage: Path) -> None:
    (footage / "a" / "up").symlink_to("..")
    (footage / "a" / "b" / "up").symlink_to("..")
    (footage / "a" / "self").symlink_to(".")
    assert matching_videos("**/*.mp4") == [
        *("6.mp4", "a/1.mp4", "a/b/2.mp4", "a/b/c/3.mp4", "e[0]/f/5.mp4"),
    ]
    for pattern in ("a/**", "a/*", "a/**/*"):
        videos = matching_videos(pattern)
        assert len({Path(video).resolve() for video in videos}) == len(videos) == 5


def test_links_to_folders_elsewhere_are_followed(footage: Path) -> None:
    (footage / "x").mkdir()
    (footage / "x" / "cam").symlink_to(footage / "a")
    assert matching_videos("x/**/*.mp4") == ["x/cam/1.mp4", "x/cam/b/2.mp4", "x/cam/b/c/3.mp4"]
