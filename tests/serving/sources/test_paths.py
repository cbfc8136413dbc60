"""File names of clients are made harmless, and paths stay below the allowed root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exvad.serving.sources.paths import MAX_NAME_LENGTH, NoFileError, path_below, safe_name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\clip.mp4", "clip.mp4"),
        ("a\x00b\n\u202ec.mp4", "abc.mp4"),
        ("videos/", "video"),
        ("", "video"),
        (" \t ", "video"),
        ("x" * 500 + ".mp4", "x" * (MAX_NAME_LENGTH - 4) + ".mp4"),
    ],
)
def test_safe_name_is_the_printable_last_part_of_a_path(name: str, shown: str) -> None:
    assert safe_name(name) == shown


def test_path_below_returns_a_file_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    clip = tmp_path / "a" / "clip.mp4"
    clip.write_bytes(b"x")
    assert path_below(tmp_path, "a/clip.mp4") == clip
    assert path_below(tmp_path, "a/../a/clip.mp4") == clip
    assert path_below(tmp_path, str(clip)) == clip


@pytest.mark.parametrize(
    "name",
    [
        *("none.mp4", "../secret", "..", "/etc/passwd", "link", "../circle", "a" * 300),
        *("outside/circle", "outside/circle/a", "folder/circle"),
        *("to_circle", "around", "outside/link"),
    ],
)
def test_path_below_refuses_anything_else(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "circle").symlink_to("circle")
    (tmp_path / "outside" / "link").symlink_to(root / "around")
    (root / "outside").symlink_to(tmp_path / "outside")
    (root / "folder").symlink_to("../outside")
    (root / "to_circle").symlink_to("../circle")
    (root / "around").symlink_to("outside/link")
    with pytest.raises(NoFileError, match="no such file below the allowed root"):
        path_below(root, name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (".", "a folder"),
        ("pipe", "a pipe, a socket or a device"),
        ("circle", "a link that leads back to itself"),
        ("circle/clip.mp4", "a link that leads back to itself"),
    ],
)
def test_path_below_says_what_is_no_file(tmp_path: Path, name: str, kind: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(ValueError, match=f"this path is no file: it is {kind}"):
        path_below(tmp_path, name)


def test_path_below_without_a_root_names_the_setting() -> None:
    with pytest.raises(ValueError, match="its setting allowed_root names no folder"):
        path_below(None, "clip.mp4")
