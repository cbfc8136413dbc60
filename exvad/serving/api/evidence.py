"""Routes of what an answer rests on: the report, captioned frames, the video itself."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, HTTPException, Response
from fastapi.responses import FileResponse, HTMLResponse

from exvad.serving.api.analyses import status_of
from exvad.serving.api.context import Context
from exvad.serving.api.problems import problems
from exvad.serving.sources.spool import path_below
from exvad.serving.workers.frames import jpeg
from exvad.video.container import VideoError

if TYPE_CHECKING:
    from exvad.results import Analysis

SHORT_SIDE = 360
DECODED_AT_ONCE = 2
UNKNOWN = "application/octet-stream"
KINDS = ("video/mp4", "video/webm", "video/x-msvideo", "video/mp2t", "application/octet-stream")


def evidence_routes(context: Context) -> APIRouter:
    """Return the routes.

    Args:
        context: what the routes share.
    """
    queue = context.queue
    routes = APIRouter(
        responses=problems(401, 403, 404, 409, 422),
        dependencies=[Depends(context.keys.require("read"))],
    )

    def answer_of(number: str) -> Analysis:
        found = status_of(queue, number)
        if found.result is None:
            raise HTTPException(409, f"the analysis is {found.state}: there is no answer to show")
        return found.result

    # Few at a time: whoever asks for many pictures at once must not keep the others waiting.
    decoding = asyncio.Semaphore(DECODED_AT_ONCE)

    def file_of(number: str) -> Path:
        path = queue.video(number)
        if path is not None and not queue.is_upload(number):
            try:  # what lies there now may be something else than when it was named
                path = path_below(context.settings.allowed_root, str(path))
            except ValueError:
                path = None
        if path is None or not path.is_file():
            raise HTTPException(404, "the video is not here any more")
        return path

    @routes.get("/v1/analyses/{number}/report", operation_id="report", response_class=HTMLResponse)
    async def report(number: str) -> HTMLResponse:
        """Show the answer as a page that stands on its own."""
        async with decoding:
            return HTMLResponse(await asyncio.to_thread(rendered, number))

    def rendered(number: str) -> str:
        from exvad.report.pages import ReportVideo, evidence_frames, render_analyses

        answer, frames = answer_of(number), dict[int, bytes]()
        # The words stand without the pictures.
        with suppress(VideoError, HTTPException):
            frames = evidence_frames(file_of(number), answer, read=context.decoder.frames)
        return render_analyses([ReportVideo(answer, frames)], answer.video)

    @routes.get(
        "/v1/analyses/{number}/frames/{caption}",
        operation_id="frame",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}},
    )
    async def frame(number: str, caption: int) -> Response:
        """Show the captioned frame of a number (1-based) as JPEG."""
        async with decoding:
            picture = await asyncio.to_thread(decoded, number, caption)
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})

    def decoded(number: str, caption: int) -> bytes:
        answer = answer_of(number)
        if not 1 <= caption <= len(answer.captions):
            raise HTTPException(404, f"there are captions 1 to {len(answer.captions)}")
        time = answer.captions[caption - 1].time
        try:
            (picture,) = context.decoder.frames(file_of(number), [time], SHORT_SIDE)
        except VideoError as error:
            raise HTTPException(404, f"the frame can't be shown: {error.reason}") from None
        return jpeg(picture)

    @routes.get(
        "/v1/analyses/{number}/video",
        operation_id="video",
        response_class=FileResponse,
        responses={
            200: {"content": {kind: {} for kind in KINDS}},
            206: {"content": {kind: {} for kind in KINDS}, "description": "The range asked for"},
            400: {"content": {"text/plain": {}}, "description": "The range is none"},
            416: {"content": {"text/plain": {}}, "description": "The range is not in the video"},
        },
    )
    def video(number: str) -> FileResponse:
        """Send the video itself; a player may ask for ranges."""
        status_of(queue, number, with_result=False)
        path = file_of(number)
        kind = media_type(path)
        if kind == UNKNOWN and not queue.is_upload(number):
            raise HTTPException(404, "what lies there is no video")
        return FileResponse(path, media_type=kind)

    return routes


def media_type(path: Path) -> str:
    """Return the media type of a video by its first bytes; its name may say anything."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm"  # Matroska too: what browsers can play of it, they play as this
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "video/x-msvideo"
    if head.startswith(b"G"):
        return "video/mp2t"
    return UNKNOWN
