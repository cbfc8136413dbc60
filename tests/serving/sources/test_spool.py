"""An upload is stored whole or not at all, and files without an analysis are deleted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exvad.serving.sources.request_body import TooLargeError
from exvad.serving.sources.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "videos", max_bytes=1000)


async def arriving(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_save_parts_stores_the_video(spool: Spool) -> None:
    path = asyncio.run(spool.save_parts(arriving(b"some ", b"video")))
    assert list(spool.folder.iterdir()) == [path]
    assert path.read_bytes() == b"some video"


def test_save_parts_stores_nothing_of_a_large_video(spool: Spool) -> None:
    with pytest.raises(TooLargeError, match="the video is larger than 1000 bytes"):
        asyncio.run(spool.save_parts(arriving(b"x" * 600, b"x" * 600)))
    assert list(spool.folder.iterdir()) == []


def test_save_parts_refuses_an_empty_video(spool: Spool) -> None:
    with pytest.raises(ValueError, match="the file is empty: it has 0 bytes"):
        asyncio.run(spool.save_parts(arriving()))
    assert list(spool.folder.iterdir()) == []


def test_delete_orphans_deletes_old_files_without_an_analysis(spool: Spool) -> None:
    for name in ("referenced", "orphan", "young.part"):
        (spool.folder / name).write_bytes(b"x")
    for name in ("referenced", "orphan"):
        os.utime(spool.folder / name, (0, 0))
    spool.delete_orphans(lambda path: path.name == "referenced")
    assert {path.name for path in spool.folder.iterdir()} == {"referenced", "young.part"}
