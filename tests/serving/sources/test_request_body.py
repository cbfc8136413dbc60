"""Request bodies are read within their limits: JSON, a video as the body, a video in a form."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from fastapi import Request

from exvad.serving.sources.request_body import TooLargeError, read_json_body, write_video

FORM = "multipart/form-data; boundary=b"
MAX_BYTES = 100


def make_request(body: bytes, content_type: str = "", part_size: int = 7) -> Request:
    """Make a request whose body arrives in small parts."""
    starts = range(0, len(body), part_size)
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": body[start : start + part_size], "more_body": True}
        for start in starts
    ]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    headers = [(b"content-type", content_type.encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


def make_form(*fields: tuple[str, bytes]) -> bytes:
    """Make the body of a form from Content-Disposition parameters and contents."""
    parts = [
        b"--b\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (parameters.encode(), content)
        for parameters, content in fields
    ]
    return b"".join(parts) + b"--b--\r\n"


def write(request: Request) -> tuple[str | None, bytes]:
    file = io.BytesIO()
    name = asyncio.run(write_video(request, file, MAX_BYTES))
    return name, file.getvalue()


def test_write_video_writes_the_body() -> None:
    assert write(make_request(b"the video", "video/mp4")) == (None, b"the video")


def test_write_video_writes_the_field_of_a_form() -> None:
    form = make_form(('name="video"; filename="clip.mp4"', b"the video\r\n--"))
    assert write(make_request(form, FORM)) == ("clip.mp4", b"the video\r\n--")


@pytest.mark.parametrize("content_type", ["video/mp4", FORM])
def test_write_video_ends_at_a_large_video(content_type: str) -> None:
    body = make_form(('name="video"; filename="x"', b"x" * (MAX_BYTES + 1)))
    with pytest.raises(TooLargeError, match="the video is larger than 100 bytes"):
        write(make_request(body, content_type))


def test_write_video_refuses_a_large_declared_length_before_reading() -> None:
    request = Request(
        {"type": "http", "method": "POST", "headers": [(b"content-length", b"999999999")]}
    )
    with pytest.raises(TooLargeError, match="the video is larger than 100 bytes"):
        write(request)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (make_form(('name="film"; filename="x"', b"x")), "form field 'film': the only field is"),
        (make_form(), "the form has no file field named `video`|the form is broken"),
        (
            make_form(('name="video"; filename="x"', b"x"), ('name="video"; filename="y"', b"y")),
            "more than one video",
        ),
        (b"--b\r\nnonsense", "the form"),
    ],
)
def test_write_video_refuses_another_form(form: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write(make_request(form, FORM))


def test_write_video_refuses_a_form_without_a_boundary() -> None:
    with pytest.raises(ValueError, match="the form is broken"):
        write(make_request(b"x", "multipart/form-data"))


def test_read_json_body_ends_at_a_large_body() -> None:
    assert asyncio.run(read_json_body(make_request(b"{}"), 100)) == b"{}"
    with pytest.raises(TooLargeError, match="a JSON body is at most 100 bytes"):
        asyncio.run(read_json_body(make_request(b"x" * 101), 100))
