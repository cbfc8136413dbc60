"""A file that another process has opened: positions, the end, and errors that FFmpeg would hide."""

from __future__ import annotations

import errno
import io
from dataclasses import replace
from pathlib import Path

import pytest

from exvad.data.storage.errors import StorageError
from exvad.video.chunks import plan_chunks
from exvad.video.container import VideoError
from exvad.video.open_file import OpenFile
from tests.helpers.dav import write_dav
from tests.helpers.videos import write_video

CONTENT = bytes(range(100))


def test_reads_from_its_position_to_its_end() -> None:
    file = OpenFile("a", 100, lambda offset, size: CONTENT[offset : offset + size])
    assert file.read(10) == CONTENT[:10]
    assert file.seek(-5, io.SEEK_END) == 95
    assert file.read() == CONTENT[95:]
    assert (file.read(1), file.tell()) == (b"", 100)
    assert file.seek(-200, io.SEEK_CUR) == 0
    file.seek(500)
    assert file.read(1) == b""


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.EIO, VideoError), (errno.ESTALE, StorageError)]
)
def test_an_error_of_the_disk_is_not_the_end_of_the_video(
    tmp_path: Path, number: int, expected: type[ValueError]
) -> None:
    content = write_video(tmp_path / "a.ts", 400, size=(320, 240)).read_bytes()

    def read_at(offset: int, size: int) -> bytes:
        if offset > len(content) // 2:
            raise OSError(number, "the disk failed")
        return content[offset : offset + min(size, 4096)]

    with pytest.raises(expected, match="the disk failed"):
        plan_chunks("a", "a.ts", file=OpenFile("a.ts", len(content), read_at))


def test_a_folder_of_frames_is_read_in_parts() -> None:
    parts = [("1.jpg", 30), ("2.jpg", 0), ("3.jpg", 70)]
    file = OpenFile("a", 100, lambda offset, size: CONTENT[offset : offset + size], parts)
    assert [file.read_part(index) for index in (2, 0, 1)] == [CONTENT[30:], CONTENT[:30], b""]


@pytest.mark.parametrize("name", ["a.h264", "a.dav", "cut.dav"])
def test_a_file_that_is_looked_into_twice_is_read_from_its_beginning(
    tmp_path: Path, name: str
) -> None:
    """Raw H.264 and recordings that are cut are recognized by their content, after FFmpeg."""
    if name == "a.h264":
        content = write_video(tmp_path / name, 300, size=(320, 240)).read_bytes()
    else:
        content = write_dav(tmp_path / "whole.dav", 300, (320, 240)).read_bytes()
        content = content[len(content) // 5 :] if name == "cut.dav" else content
    path = tmp_path / name
    path.write_bytes(content)
    file = OpenFile(name, len(content), lambda offset, size: content[offset : offset + size])
    info, chunks = plan_chunks("a", name, file=file)
    ours, our_chunks = plan_chunks("a", path)
    assert info == replace(ours, path=name)
    assert chunks == [replace(chunk, path=name) for chunk in our_chunks]
