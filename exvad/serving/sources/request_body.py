"""Request bodies, read with a size limit while they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import IO, Any

from fastapi import Request
from python_multipart.multipart import MultipartParser, parse_options_header

from exvad.serving.sources.form_names import read_file_name

MAX_JSON_BYTES = 2**17
FORM_BYTES = 2**16  # of a form, in addition to the video itself


class TooLargeError(ValueError):
    """A request body is larger than allowed."""


async def read_json_body(request: Request, max_bytes: int = MAX_JSON_BYTES) -> bytes:
    """Return the body of a request; reading stops as soon as it exceeds `max_bytes`.

    Raises:
        TooLargeError: the body is larger.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > max_bytes:
            raise TooLargeError(f"a JSON body is at most {max_bytes} bytes")
    return body


async def write_video(request: Request, file: IO[bytes], max_bytes: int) -> str | None:
    """Write the video of a request to a file: its body, or the form field `video`.

    Args:
        request: the request; its body has not been read.
        file: the file.
        max_bytes: largest video.

    Returns:
        The file name in a form; None for any other body.

    Raises:
        TooLargeError: the video is larger than `max_bytes`.
        ValueError: the form is broken, or has other fields.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes + FORM_BYTES:
        raise _too_large(max_bytes)
    content_type, options = parse_options_header(request.headers.get("content-type", ""))
    if content_type == b"multipart/form-data":
        return await _write_form(request, options.get(b"boundary", b""), file, max_bytes)
    await write_parts(request.stream(), file, max_bytes)
    return None


async def write_parts(parts: AsyncIterator[bytes], file: IO[bytes], max_bytes: int) -> None:
    """Write a video that arrives in parts to a file.

    Raises:
        TooLargeError: the video is larger than `max_bytes`.
    """
    size = 0
    async for part in parts:
        size += len(part)
        if size > max_bytes:
            raise _too_large(max_bytes)
        await asyncio.to_thread(file.write, part)


async def _write_form(request: Request, boundary: bytes, file: IO[bytes], max_bytes: int) -> str:
    form = _VideoForm(max_bytes)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for part in request.stream():
            parser.write(part)
            await asyncio.to_thread(file.write, form.take_data())
            if form.unknown_field is not None:
                break
        else:
            parser.finalize()
    except TooLargeError:
        raise
    except ValueError as error:
        raise ValueError(f"the form is broken: {error}") from None
    if form.unknown_field is not None:
        raise ValueError(
            f"form field {form.unknown_field!r}: the only field is `video`; "
            "give options in the URL, such as ?threshold=0.7"
        )
    if form.file_name is None:
        raise ValueError("the form has no file field named `video`")
    return form.file_name


class _VideoForm:
    """Collects the data of the form field `video` from the callbacks of a multipart parser.

    Args:
        max_bytes: largest video.
    """

    def __init__(self, max_bytes: int) -> None:
        self.file_name: str | None = None
        self.unknown_field: str | None = None
        self._max_bytes = max_bytes
        self._size = 0
        self._inside_video = False
        self._header_name, self._header_value = b"", b""
        self._parts: list[bytes] = []

    def take_data(self) -> bytes:
        """Return the data since the last call."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data

    def callbacks(self) -> Any:
        """Return the callbacks for the parser."""
        return {
            "on_header_field": self._on_header_name,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part_end,
        }

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            _, options = parse_options_header(self._header_value)
            field = options.get(b"name", b"").decode("utf-8", "replace")[:64]
            if field != "video":
                self.unknown_field = field
            elif self.file_name is not None:
                raise ValueError("it has more than one video; send one per request")
            else:
                self.file_name = read_file_name(self._header_value, options.get(b"filename"))
                self._inside_video = True
        self._header_name = self._header_value = b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._inside_video:
            self._size += end - start
            if self._size > self._max_bytes:
                raise _too_large(self._max_bytes)
            self._parts.append(data[start:end])

    def _on_part_end(self) -> None:
        self._inside_video = False


def _too_large(max_bytes: int) -> TooLargeError:
    return TooLargeError(f"the video is larger than {max_bytes} bytes")
