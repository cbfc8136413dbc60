"""A limit on the size of request bodies, enforced before an endpoint reads them."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exvad.serving.api.problems import problem_response
from exvad.serving.sources.request_body import MAX_JSON_BYTES

UPLOAD_PATH = "/v1/analyses"  # limits its body itself while it writes the body to the disk


class BodySizeLimit:
    """Middleware that refuses large bodies, except of requests that upload a video.

    Args:
        app: the application that responds.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application; stop reading its body at the limit."""
        if scope["type"] != "http" or scope["path"] == UPLOAD_PATH:
            await self.app(scope, receive, send)
            return
        detail = f"the body of this request may have at most {MAX_JSON_BYTES} bytes"
        content_length = Headers(scope=scope).get("content-length", "")
        if content_length.isdigit() and int(content_length) > MAX_JSON_BYTES:
            await problem_response(413, detail)(scope, receive, send)
            return
        size = 0

        async def receive_limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_JSON_BYTES:
                raise HTTPException(413, detail)
            return message

        await self.app(scope, receive_limited, send)
