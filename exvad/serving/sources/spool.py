"""The folder of uploaded videos; an upload is stored whole or not at all."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from fastapi import Request

from exvad.serving.sources.paths import safe_name
from exvad.serving.sources.request_body import write_parts, write_video

NO_BODY = "the request holds no video: its body is empty"
EMPTY_FILE = "the file is empty: it has 0 bytes"
PRIVATE_FOLDER = 0o700  # recordings of cameras are for the user of the server only


class Spool:
    """A folder of uploaded videos.

    Args:
        folder: the folder; it is created if it does not exist.
        max_bytes: largest upload.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        folder.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)

    async def save_upload(self, request: Request, name: str) -> tuple[str, Path]:
        """Store the video of a request: its body, or the form field `video`.

        Args:
            request: the request; its body has not been read.
            name: file name of a video that is sent as the body.

        Returns:
            The file name to show, and the stored file.

        Raises:
            TooLargeError: the video is larger than allowed; nothing is stored.
            ValueError: the request holds no video, or an empty file.
        """
        async with self._new_file() as (path, file):
            form_name = await write_video(request, file, self.max_bytes)
            if not file.tell():
                raise ValueError(NO_BODY if form_name is None else EMPTY_FILE)
        return safe_name(name if form_name is None else form_name), path

    async def save_parts(self, parts: AsyncIterator[bytes]) -> Path:
        """Store a video that arrives in parts.

        Returns:
            The stored file.

        Raises:
            TooLargeError: the video is larger than allowed; nothing is stored.
            ValueError: the video is empty.
        """
        async with self._new_file() as (path, file):
            await write_parts(parts, file, self.max_bytes)
            if not file.tell():
                raise ValueError(EMPTY_FILE)
        return path

    def delete_orphans(self, is_referenced: Callable[[Path], bool], hours: float = 24) -> None:
        """Delete old files that no analysis refers to; a crashed process left them.

        Args:
            is_referenced: whether an analysis refers to a file.
            hours: younger files are not deleted, as their upload may still be in progress.
        """
        before = time.time() - hours * 3600
        for path in self.folder.iterdir():
            if path.stat().st_mtime < before and not is_referenced(path):
                path.unlink(missing_ok=True)

    @asynccontextmanager
    async def _new_file(self) -> AsyncIterator[tuple[Path, IO[bytes]]]:
        """Open a draft, and rename it to its final path once it is written whole.

        Yields:
            The final path, and the draft to write to.
        """
        path = self.folder / uuid.uuid4().hex
        draft = path.with_suffix(".part")
        try:
            with draft.open("wb") as file:
                yield path, file
                await asyncio.to_thread(_flush_to_disk, file)
            draft.rename(path)
        finally:
            draft.unlink(missing_ok=True)


def _flush_to_disk(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
