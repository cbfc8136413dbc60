"""Endpoints of the evidence for a result: the report, the captioned frames and the video."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from exvad.report.evidence import evidence_frames
from exvad.report.pages import render_analyses
from exvad.report.report_video import ReportVideo
from exvad.results import Analysis
from exvad.serving.api.analysis_status import read_status
from exvad.serving.api.context import Context
from exvad.serving.api.dependencies import CAN_READ, AnalysesDep, ContextDep
from exvad.serving.api.problems import documented
from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.sources.paths import path_below
from exvad.serving.workers.frames import encode_jpeg
from exvad.video.container import VideoError

SHORT_SIDE = 360
UNKNOWN_TYPE = "application/octet-stream"
MEDIA_TYPES = ("video/mp4", "video/webm", "video/x-msvideo", "video/mp2t", UNKNOWN_TYPE)
_VIDEO_CONTENT: dict[str, Any] = {"content": {media_type: {} for media_type in MEDIA_TYPES}}
_RANGE = re.compile("([0-9]{1,18})-([0-9]{0,18})|-[0-9]{1,18}")
_RANGE_ERROR: dict[str, Any] = {"content": {"text/plain": {}}}

router = APIRouter(
    prefix="/v1/analyses/{analysis_id}",
    tags=["analyses"],
    responses=documented(401, 403, 404, 409, 422),
    dependencies=[CAN_READ],
)


@router.get("/report", operation_id="get_report", response_class=HTMLResponse)
async def get_report(analysis_id: str, context: ContextDep) -> HTMLResponse:
    """Show the result as a self-contained page."""
    async with context.decoder_slots:
        return HTMLResponse(await asyncio.to_thread(_render_report, context, analysis_id))


@router.get(
    "/frames/{caption}",
    operation_id="get_frame",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
async def get_frame(analysis_id: str, caption: int, context: ContextDep) -> Response:
    """Return the frame of a caption as JPEG; captions are numbered from 1."""
    async with context.decoder_slots:
        image = await asyncio.to_thread(_decode_frame, context, analysis_id, caption)
    return Response(image, media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})


@router.get(
    "/video",
    operation_id="get_video",
    response_class=FileResponse,
    responses={
        200: _VIDEO_CONTENT,
        206: {"description": "The requested range", **_VIDEO_CONTENT},
        416: {"description": "The range is not in the video", **_RANGE_ERROR},
    },
)
def get_video(analysis_id: str, context: ContextDep, analyses: AnalysesDep) -> FileResponse:
    """Return the video; players may request ranges of it."""
    read_status(analyses, analysis_id, with_result=False)
    path = _find_video(context, analysis_id)
    media_type = detect_media_type(path)
    if media_type == UNKNOWN_TYPE and not analyses.is_upload(analysis_id):
        raise HTTPException(404, "the file of this analysis is no video any more")
    return _VideoResponse(path, media_type=media_type)


class _VideoResponse(FileResponse):
    """A video, which is sent whole where the header `Range` means nothing (RFC 9110, 14.2)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, or the ranges of it that are requested."""
        if not is_byte_range(Headers(scope=scope).get("range", "")):
            headers = [item for item in scope["headers"] if item[0].lower() != b"range"]
            scope = {**scope, "headers": headers}
        await super().__call__(scope, receive, send)


def is_byte_range(header: str) -> bool:
    """Whether a header `Range` names ranges of bytes, none of which ends before it begins.

    Args:
        header: such as `bytes=0-99, -100`.
    """
    unit, _, ranges = header.partition("=")
    parts = [_RANGE.fullmatch(part.strip()) for part in ranges.split(",")]
    return unit.strip().lower() == "bytes" and all(
        match is not None and (not match[1] or not match[2] or int(match[1]) <= int(match[2]))
        for match in parts
    )


def detect_media_type(path: Path) -> str:
    """Return the media type of a video, from its first bytes; its name may be wrong."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm"  # also Matroska: browsers play what they support of it as WebM
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "video/x-msvideo"
    if head.startswith(b"G"):
        return "video/mp2t"
    return UNKNOWN_TYPE


def _render_report(context: Context, analysis_id: str) -> str:
    result, frames = _read_result(context.analyses, analysis_id), dict[int, bytes]()
    # Without the video the report still has its text.
    with suppress(VideoError, HTTPException):
        path = _find_video(context, analysis_id)
        frames = evidence_frames(path, result, read=context.decoder.read_frames)
    return render_analyses([ReportVideo(result, frames)], result.video)


def _decode_frame(context: Context, analysis_id: str, caption: int) -> bytes:
    """Return the frame of a caption as JPEG.

    Raises:
        HTTPException: 404 without such a caption or without the video; 409 without a result.
    """
    captions = _read_result(context.analyses, analysis_id).captions
    if not 1 <= caption <= len(captions):
        raise HTTPException(404, f"the analysis has captions 1 to {len(captions)}")
    time = captions[caption - 1].time
    try:
        (frame,) = context.decoder.read_frames(
            _find_video(context, analysis_id), [time], SHORT_SIDE
        )
    except VideoError as error:
        raise HTTPException(404, f"the frame can't be decoded: {error.reason}") from None
    return encode_jpeg(frame)


def _read_result(analyses: AnalysisQueue, analysis_id: str) -> Analysis:
    """Return the result of an analysis.

    Raises:
        HTTPException: 404 if there is no such analysis; 409 if it has no result.
    """
    status = read_status(analyses, analysis_id)
    if status.result is None:
        raise HTTPException(409, f"the analysis has no result: it is {status.state}")
    return status.result


def _find_video(context: Context, analysis_id: str) -> Path:
    """Return the video of an analysis.

    Raises:
        HTTPException: 404 if the video is gone, or is outside the allowed root by now.
    """
    path = context.analyses.video_path(analysis_id)
    if path is not None and not context.analyses.is_upload(analysis_id):
        try:  # a link may have replaced the file since the analysis was submitted
            path = path_below(context.settings.allowed_root, str(path))
        except ValueError:
            path = None
    if path is None or not path.is_file():
        raise HTTPException(404, "the video of this analysis does not exist any more")
    return path
