"""The endpoint that accepts a video: an upload, a URL, or a path below the allowed root."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import unquote, urlsplit

from fastapi import APIRouter, HTTPException, Query, Request, Response

from exvad.config.suggestions import did_you_mean
from exvad.serving.api.analysis_status import ENDED, wait_for_end
from exvad.serving.api.context import Context
from exvad.serving.api.dependencies import CAN_SUBMIT, ContextDep
from exvad.serving.api.links import RESPONSE_ID, links_to
from exvad.serving.api.problems import documented, unprocessable
from exvad.serving.api.webhooks import check_webhook
from exvad.serving.queue.leased import QueueFullError
from exvad.serving.schemas.analyses import (
    AnalysisOptions,
    AnalysisQuery,
    AnalysisRequest,
    AnalysisStatus,
)
from exvad.serving.sources.paths import path_below, safe_name
from exvad.serving.sources.request_body import TooLargeError, read_json_body

RETRY_AFTER = "5"
_QUERY_NAMES = tuple(AnalysisQuery.model_fields)
_BINARY = {"type": "string", "format": "binary"}
_FORM = {
    "type": "object",
    "required": ["video"],
    "properties": {"video": _BINARY},
    "additionalProperties": False,
}
_REQUEST_BODY = {
    "content": {
        "multipart/form-data": {"schema": _FORM},
        "application/json": {"schema": AnalysisRequest.model_json_schema()},
        "application/octet-stream": {"schema": _BINARY},
    }
}
_LINKS = links_to(
    "get_analysis", "update_analysis", "review_analysis", "delete_review", "delete_analysis",
    "follow_analysis", "get_report", "get_video", analysis_id=RESPONSE_ID,
)  # fmt: skip

router = APIRouter(prefix="/v1/analyses", tags=["analyses"])


class StoredVideo(NamedTuple):
    """A video that is ready for analysis.

    Args:
        name: displayed file name.
        path: the file.
        uploaded: whether the file is the server's own copy.
    """

    name: str
    path: Path
    uploaded: bool


@router.post(
    "",
    operation_id="create_analysis",
    status_code=202,
    dependencies=[CAN_SUBMIT],
    openapi_extra={"requestBody": _REQUEST_BODY},
    responses={
        200: {"description": "The analysis has ended", "model": AnalysisStatus, **_LINKS},
        202: _LINKS,
        **documented(401, 403, 413, 422, 429, 507),
    },
)
async def create_analysis(
    request: Request,
    response: Response,
    query: Annotated[AnalysisQuery, Query()],
    context: ContextDep,
) -> AnalysisStatus:
    """Accept a video and queue its analysis.

    The video is the form field `video`, the body itself, or the file that a JSON body
    `{"path": …}` or `{"url": …}` names. The response is 202 with the id of the analysis, or 200
    with the result if the analysis ends within `wait` seconds.
    """
    _check_query_names(request)
    if await asyncio.to_thread(context.analyses.num_waiting) >= context.settings.max_waiting:
        raise await _refuse(context)
    try:
        options = query.options()
        source = await _read_source(request)
        if source is not None:
            options = options.model_copy(update=_given_options(source))
        await check_webhook(context, options.webhook)
        video = await _store_video(context, request, query.name, source)
        analysis_id = await _queue_video(context, video, options)
    except TooLargeError as error:
        raise HTTPException(413, str(error)) from None
    except ValueError as error:
        raise unprocessable(error) from None
    response.headers["Location"] = context.address.locate(request, f"/v1/analyses/{analysis_id}")
    status = await wait_for_end(context, analysis_id, query.wait, request)
    response.status_code = 200 if status.state in ENDED else 202
    return status


def _check_query_names(request: Request) -> None:
    """Refuse an unknown query parameter, which would otherwise have no effect."""
    for name in request.query_params:
        if name not in _QUERY_NAMES:
            closest = did_you_mean(name, _QUERY_NAMES)
            known = ", ".join(_QUERY_NAMES)
            hint = f"did you mean {closest!r}?" if closest else f"the options are {known}"
            raise HTTPException(422, f"there is no option {name[:64]!r}: {hint}")


async def _refuse(context: Context) -> HTTPException:
    """Count a refused analysis; return the error 429 of a full queue."""
    await asyncio.to_thread(context.analyses.count_refusal)
    return HTTPException(
        429,
        f"{context.settings.max_waiting} analyses are waiting already: try again later",
        {"Retry-After": RETRY_AFTER},
    )


async def _read_source(request: Request) -> AnalysisRequest | None:
    """Return the JSON body; None if the body is an upload.

    Raises:
        TooLargeError: the JSON body is too large.
        ValueError: the body is not JSON, or has an invalid value.
    """
    if not request.headers.get("content-type", "").startswith("application/json"):
        return None
    return AnalysisRequest.model_validate_json(await read_json_body(request))


def _given_options(source: AnalysisRequest) -> dict[str, object]:
    """Return the options that a JSON body gives; they take precedence over those of the query."""
    return source.model_dump(include=source.model_fields_set & AnalysisOptions.model_fields.keys())


async def _store_video(
    context: Context, request: Request, name: str, source: AnalysisRequest | None
) -> StoredVideo:
    """Store the video of a request, or find the file that the request names.

    Args:
        context: the shared objects of the application.
        request: the request, whose body is the upload if there is no source.
        name: file name of a video that is sent as the body.
        source: the path or the URL of the video; None for an upload.

    Raises:
        TooLargeError: the video is larger than the settings permit.
        ValueError: the request holds no video, or names one that the server may not read.
    """
    if source is None:
        upload_name, path = await context.spool.save_upload(request, name)
        return StoredVideo(upload_name, path, uploaded=True)
    if source.url is not None:
        async with context.fetcher.open(source.url) as parts:
            path = await context.spool.save_parts(parts)
        return StoredVideo(safe_name(unquote(urlsplit(source.url).path)), path, uploaded=True)
    path = path_below(context.settings.allowed_root, str(source.path))
    return StoredVideo(path.name, path, uploaded=False)


async def _queue_video(context: Context, video: StoredVideo, options: AnalysisOptions) -> str:
    """Queue the analysis of a video and return its id.

    Raises:
        HTTPException: 429 if the queue has become full; an uploaded video is deleted.
    """
    try:
        return await asyncio.to_thread(
            context.analyses.add, *video, options, context.settings.max_waiting
        )
    except QueueFullError:
        if video.uploaded:
            video.path.unlink(missing_ok=True)
        raise await _refuse(context) from None
