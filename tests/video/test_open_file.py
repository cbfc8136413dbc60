"""A file that another process has opened: positions, the end, and errors that FFmpeg would hide."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import pytest

from exvad.data.storage.errors import StorageError
from exvad.video.chunks import plan_chunks
from exvad.video.container import VideoError
from exvad.video.open_file import OpenFile
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
