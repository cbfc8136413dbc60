"""Endpoints of live streams: create, list, get, follow and delete them."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse

from exvad.serving.api.context import Context
from exvad.serving.api.dependencies import CAN_READ, CAN_SUBMIT, ContextDep, StreamsDep
from exvad.serving.api.event_stream import Ending, follow_events
from exvad.serving.api.links import FIRST_ITEM_ID, NEWEST_ALERT, RESPONSE_ID, links_to
from exvad.serving.api.problems import documented, unprocessable
from exvad.serving.api.webhooks import check_webhook
from exvad.serving.queue.database import is_full_disk
from exvad.serving.queue.leased import QueueFullError
from exvad.serving.queue.streams import StreamQueue
from exvad.serving.recording.ring import delete_recording
from exvad.serving.schemas.streams import (
    StreamList,
    StreamOptions,
    StreamRequest,
    StreamSource,
    StreamStatus,
)
from exvad.serving.sources.camera_url import normalize_camera_url, stream_name
from exvad.serving.sources.paths import path_below, safe_name

router = APIRouter(prefix="/v1/streams", tags=["streams"], responses=documented(401, 403, 404, 422))


@router.post(
    "",
    operation_id="create_stream",
    status_code=201,
    dependencies=[CAN_SUBMIT],
    responses={
        201: links_to("get_stream", "delete_stream", "follow_stream", stream_id=RESPONSE_ID),
        **documented(400, 413, 429, 507),
    },
)
async def create_stream(
    stream: StreamRequest, request: Request, response: Response, context: ContextDep
) -> StreamStatus:
    """Watch a live source (RTSP, HTTP or a growing file) until it ends or is deleted."""
    options = StreamOptions(**stream.model_dump(include=set(StreamOptions.model_fields)))
    if options.keep_hours is None:
        options.keep_hours = context.settings.keep_hours or None
    try:
        await check_webhook(context, stream.webhook)
        source, source_name = await _check_source(context, stream)
    except ValueError as error:
        raise unprocessable(error) from None
    name = safe_name(stream.name) if stream.name.strip() else source_name
    limit = context.settings.max_streams
    try:
        stream_id = await asyncio.to_thread(context.streams.add, name, source, options, limit)
    except QueueFullError:
        raise HTTPException(
            429, f"{limit} streams are watched already: delete one first", {"Retry-After": "60"}
        ) from None
    response.headers["Location"] = context.address.locate(request, f"/v1/streams/{stream_id}")
    return await asyncio.to_thread(_read_status, context.streams, stream_id)


@router.get(
    "",
    operation_id="list_streams",
    dependencies=[CAN_READ],
    responses={200: links_to("get_stream", "delete_stream", stream_id=FIRST_ITEM_ID)},
)
def list_streams(
    streams: StreamsDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> StreamList:
    """List streams with their newest alerts, newest stream first."""
    items, total = streams.list_page(limit, offset)
    return StreamList(items=items, total=total)


@router.get(
    "/{stream_id}",
    operation_id="get_stream",
    dependencies=[CAN_READ],
    responses={
        200: links_to(
            "update_alert",
            "get_alert_frame",
            "get_alert_clip",
            stream_id=RESPONSE_ID,
            alert_number=NEWEST_ALERT,
        )
    },
)
def get_stream(
    stream_id: str,
    streams: StreamsDep,
    alerts_before: Annotated[
        int | None,
        Query(ge=1, le=2**53, description="number of an alert: only those before it are listed"),
    ] = None,
) -> StreamStatus:
    """Return the status of a stream, with its newest alerts."""
    return _read_status(streams, stream_id, alerts_before)


@router.delete(
    "/{stream_id}", operation_id="delete_stream", status_code=204, dependencies=[CAN_SUBMIT]
)
def delete_stream(stream_id: str, context: ContextDep) -> None:
    """Stop watching a stream; delete it, its alerts and its recording."""
    _read_status(context.streams, stream_id)
    recording = context.settings.recordings / stream_id
    try:
        context.streams.delete(stream_id)
    except sqlite3.OperationalError as error:
        if not is_full_disk(error):
            raise
        delete_recording(recording)  # it makes room
        context.streams.delete(stream_id)
    delete_recording(recording)


@router.get(
    "/{stream_id}/events",
    operation_id="follow_stream",
    dependencies=[CAN_READ],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **documented(429)},
)
async def follow_stream(stream_id: str, request: Request, context: ContextDep) -> StreamingResponse:
    """Send the events of a stream until it has ended.

    The server-sent events are `scores`, `alert`, `notice`, and at the end `ended`. The request
    header `Last-Event-ID` continues after an event that the client already has.
    """
    await asyncio.to_thread(_read_status, context.streams, stream_id)
    read_ending = partial(_read_ending, context.streams, stream_id)
    return follow_events(context.streams, context.notifier, stream_id, request, read_ending)


async def _check_source(context: Context, stream: StreamRequest) -> tuple[StreamSource, str]:
    """Check the source of a stream.

    Returns:
        The source as the watcher opens it, and a name for it without passwords or tokens.

    Raises:
        ValueError: the file does not exist, or the URL leads to an address the server may not
            contact.
    """
    if stream.path is not None:
        path = path_below(context.settings.allowed_root, stream.path)
        return StreamSource(path=str(path)), path.name
    url = normalize_camera_url(str(stream.url))
    await context.fetcher.check_stream(url)
    return StreamSource(url=url), stream_name(url)


def _read_status(
    streams: StreamQueue, stream_id: str, alerts_before: int | None = None
) -> StreamStatus:
    """Return the status of a stream; see `StreamQueue.status` for the arguments.

    Raises:
        HTTPException: 404 if there is no such stream.
    """
    status = streams.status(stream_id, alerts_before)
    if status is None:
        raise _stream_not_found(stream_id)
    return status


def _read_ending(streams: StreamQueue, stream_id: str) -> Ending | None:
    status = streams.status(stream_id)
    if status is None:
        return Ending()
    return Ending("ended") if status.state == "ended" else None


def _stream_not_found(stream_id: str) -> HTTPException:
    return HTTPException(404, f"there is no stream {stream_id[:64]!r}")
