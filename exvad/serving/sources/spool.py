"""Where uploads land: streamed to disk with a size limit, whole or not at all."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

from fastapi import Request
from python_multipart.multipart import MultipartParser, parse_options_header

LONGEST_NAME = 120
LARGEST_JSON = 2**17


class TooLargeError(ValueError):
    """An upload is larger than allowed."""


class Spool:
    """A folder of uploaded videos.

    Args:
        folder: where they are kept.
        max_bytes: largest upload.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        folder.mkdir(parents=True, exist_ok=True)

    async def take(self, request: Request, name: str) -> tuple[str, Path]:
        """Store the video of a request: its body, or the form's field `video`.

        Returns:
            The name to show, and the file.

        Raises:
            TooLargeError: it is larger than allowed; nothing is kept.
            ValueError: there is no video in the request.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self.max_bytes + 2**16:
            raise TooLargeError(f"the video is larger than {self.max_bytes} bytes")
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        async with self._draft() as (path, file):
            if kind == b"multipart/form-data":
                name = await _take_form(request, options, file, self.max_bytes)
            else:
                await _take_body(request.stream(), file, self.max_bytes)
        return safe_name(name), path

    async def keep(self, parts: AsyncIterator[bytes]) -> Path:
        """Store a video that comes in parts.

        Raises:
            TooLargeError: it is larger than allowed; nothing is kept.
            ValueError: it is empty.
        """
        async with self._draft() as (path, file):
            await _take_body(parts, file, self.max_bytes)
        return path

    def sweep(self, kept: Callable[[Path], bool], hours: float = 24) -> None:
        """Delete what a process that died has left: old files that nobody knows of.

        Args:
            kept: tells whether a file belongs to an analysis.
            hours: younger files may still be on their way.
        """
        before = time.time() - hours * 3600
        for path in self.folder.iterdir():
            if path.stat().st_mtime < before and not kept(path):
                path.unlink(missing_ok=True)

    @asynccontextmanager
    async def _draft(self) -> AsyncIterator[tuple[Path, IO[bytes]]]:
        """Give a file to write to, and where it will be once it is whole."""
        path = self.folder / uuid.uuid4().hex
        draft = path.with_suffix(".part")
        try:
            with draft.open("wb") as file:
                yield path, file
                await asyncio.to_thread(_settle, file)
            if not draft.stat().st_size:
                raise ValueError("the request holds no video")
            draft.rename(path)
        finally:
            draft.unlink(missing_ok=True)


def safe_name(name: str) -> str:
    """Return the last part of a file name without control characters, never empty."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(letter for letter in last if letter.isprintable())[-LONGEST_NAME:]
    return shown.strip() or "video"


def path_below(root: Path | None, wanted: str) -> Path:
    """Return a file below the allowed root.

    Raises:
        ValueError: there is no allowed root, or the path is no file below it.
    """
    if root is None:
        raise ValueError("this server takes no paths: its setting allowed_root names no folder")
    base = root.resolve()
    try:
        path = (base / wanted).resolve()
        if path.is_relative_to(base) and path.is_file():
            return path
    except (OSError, RuntimeError):  # a name that is too long, or links in a circle
        pass
    raise ValueError("there is no such file below the allowed root")


async def read_small(request: Request, limit: int = LARGEST_JSON) -> bytes:
    """Return the body of a request that must be small, never holding more than that.

    Raises:
        TooLargeError: it is larger.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise TooLargeError(f"a JSON body is at most {limit} bytes")
    return body


def _settle(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


async def _take_body(parts: AsyncIterator[bytes], file: IO[bytes], limit: int) -> None:
    size = 0
    async for part in parts:
        size += len(part)
        if size > limit:
            raise TooLargeError(f"the video is larger than {limit} bytes")
        await asyncio.to_thread(file.write, part)


async def _take_form(
    request: Request, options: dict[bytes, bytes], file: IO[bytes], limit: int
) -> str:
    """Write the form's field `video` as it comes in; return its file name."""
    form = _Form(limit)
    try:
        parser = MultipartParser(options.get(b"boundary", b""), form.callbacks())
        async for part in request.stream():
            parser.write(part)
            await asyncio.to_thread(file.write, form.taken())
            if form.stray is not None:
                break
        else:
            parser.finalize()
    except TooLargeError:
        raise
    except ValueError as error:
        raise ValueError(f"the form is broken: {error}") from None
    if form.stray is not None:
        raise ValueError(
            f"form field {form.stray!r}: only `video` is one; "
            "options are given in the URL, such as ?threshold=0.7"
        )
    if form.name is None:
        raise ValueError("the form has no file field named video")
    return form.name


class _Form:
    """Follows a multipart parser and keeps what belongs to the field `video`."""

    def __init__(self, limit: int) -> None:
        self.name: str | None = None
        self.stray: str | None = None
        self._limit = limit
        self._size = 0
        self._inside = False
        self._header, self._value = b"", b""
        self._parts: list[bytes] = []

    def taken(self) -> bytes:
        """Return what came in since the last call."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data

    def callbacks(self) -> Any:
        """Return what the parser calls."""
        return {
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_part_data": self._on_data,
            "on_part_end": self._on_end,
        }

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            field = options.get(b"name", b"").decode("utf-8", "replace")[:64]
            if field != "video":
                self.stray = field
            elif self.name is None:
                self.name = options.get(b"filename", b"video").decode("utf-8", "replace")
                self._inside = True
        self._header = self._value = b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self._size += end - start
            if self._size > self._limit:
                raise TooLargeError(f"the video is larger than {self._limit} bytes")
            self._parts.append(data[start:end])

    def _on_end(self) -> None:
        self._inside = False
