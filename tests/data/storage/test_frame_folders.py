"""Folders of frames: which files are frames, and their content as one file."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exvad.data.storage.frame_folders import (
    JoinedFiles,
    holds_image,
    images_and_videos,
    is_frame_folder,
    list_frames,
)


def test_frames_are_the_images_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("f10.jpg", "f2.JPG", "f1.png", ".f0.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in list_frames(tmp_path)] == ["f1.png", "f2.JPG", "f10.jpg"]


def test_only_files_are_frames(tmp_path: Path) -> None:
    """Whoever reads a pipe waits for its writer."""
    os.mkfifo(tmp_path / "1.jpg")
    (tmp_path / "2.jpg").mkdir()
    (tmp_path / "3.jpg").symlink_to(tmp_path / "missing.jpg")
    assert not is_frame_folder(tmp_path)
    (tmp_path / "5.jpg").write_bytes(b"x")
    (tmp_path / "4.jpg").symlink_to(tmp_path / "5.jpg")
    assert is_frame_folder(tmp_path)
    assert [path.name for path in list_frames(tmp_path)] == ["4.jpg", "5.jpg"]


def test_holds_image_stops_at_the_first_image(tmp_path: Path) -> None:
    assert not holds_image(tmp_path / "missing")
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / ".1.jpg").write_bytes(b"x")
    assert not holds_image(tmp_path)
    (tmp_path / "1.JPG").write_bytes(b"x")
    assert holds_image(tmp_path)
    assert not holds_image(tmp_path / "1.JPG")


def test_a_folder_with_a_video_is_no_folder_of_frames(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"x")
    (tmp_path / ".a.mp4").write_bytes(b"x")
    (tmp_path / "b.mp4").mkdir()
    assert is_frame_folder(tmp_path)
    assert images_and_videos(tmp_path) == (1, 0)
    (tmp_path / "c.mp4").write_bytes(b"x")
    assert not is_frame_folder(tmp_path)
    assert images_and_videos(tmp_path) == (1, 1)
    assert images_and_videos(tmp_path / "c.mp4") == (0, 0)


@given(contents=st.lists(st.binary(max_size=5), min_size=1, max_size=6), data=st.data())
def test_joined_files_are_read_like_one(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("joined")
    paths = [folder / str(index) for index in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    joined, whole = JoinedFiles(paths), io.BytesIO(b"".join(contents))
    assert joined.sizes == [len(content) for content in contents]
    for _ in range(4):
        offset, size = data.draw(st.integers(0, 32)), data.draw(st.integers(-1, 32))
        assert joined.seek(offset) == whole.seek(offset)
        assert joined.read(size) == whole.read(size)
        assert joined.read(3) == whole.read(3)
    assert joined.seek(0, io.SEEK_END) == sum(joined.sizes)


def test_joined_files_end_where_one_has_become_shorter(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_bytes(b"12345")
    joined = JoinedFiles(paths)
    paths[0].write_bytes(b"12")
    assert joined.read() == b"12"
    paths[0].unlink()
    joined.seek(0)
    with pytest.raises(FileNotFoundError):
        joined.read()
    os.mkfifo(paths[0])
    with pytest.raises(OSError, match="Illegal seek"):
        joined.read()
