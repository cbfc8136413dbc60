"""Limits on what is read of a request before anybody has looked at it."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exvad.serving.api.problems import KIND
from exvad.serving.schemas.analyses import Problem
from exvad.serving.sources.spool import LARGEST_JSON

STREAMED = "/v1/analyses"  # counts its own bytes, on their way to the disk


class LimitedBodies:
    """Refuses bodies beyond the size that any request but an upload has.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its body as far as it is not too large."""
        if scope["type"] != "http" or scope["path"] == STREAMED:
            await self.app(scope, receive, send)
            return
        detail = f"the body of such a request is at most {LARGEST_JSON} bytes"
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > LARGEST_JSON:
            problem = Problem(title="Content Too Large", status=413, detail=detail)
            answer = JSONResponse(problem.model_dump(), 413, media_type=KIND)
            await answer(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > LARGEST_JSON:
                raise ValueError(detail)  # FastAPI makes of it that the body can't be read: 400
            return message

        await self.app(scope, counted, send)
