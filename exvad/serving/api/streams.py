"""Routes of live streams: watch, look, follow, judge alerts, stop."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse

from exvad.serving.api.context import Context
from exvad.serving.api.event_stream import event_stream
from exvad.serving.api.links import leads_to
from exvad.serving.api.problems import problems, unprocessable
from exvad.serving.api.submission import check_webhook
from exvad.serving.queue.analyses import FullError
from exvad.serving.schemas.analyses import TriageRequest
from exvad.serving.schemas.streams import (
    AlertStatus,
    StreamList,
    StreamOptions,
    StreamRequest,
    StreamSource,
    StreamStatus,
)
from exvad.serving.sources.spool import path_below, safe_name

ALERT = "/v1/streams/{number}/alerts/{alert}"
NEWEST = {"alert": "$response.body#/alerts/0/number"}
Number = Annotated[int, PathParameter(ge=1, le=2**53)]


def stream_routes(context: Context) -> APIRouter:
    """Return the routes.

    Args:
        context: what the routes share.
    """
    routes, streams = APIRouter(responses=problems(401, 403, 404, 422)), context.streams
    reads = Depends(context.keys.require("read"))
    submits = Depends(context.keys.require("submit"))

    def status_of(number: str) -> StreamStatus:
        found = streams.status(number)
        if found is None:
            raise HTTPException(404, f"there is no stream {number[:64]!r}")
        return found

    def alert_of(number: str, alert: int) -> AlertStatus:
        found = streams.alert(number, alert)
        if found is None:
            raise HTTPException(404, f"there is no alert {alert} of such a stream")
        return found

    @routes.post(
        "/v1/streams",
        operation_id="watch",
        status_code=201,
        dependencies=[submits],
        responses={
            201: leads_to("stream", "stop", "follow_stream"),
            **problems(400, 429, 507),
        },
    )
    async def watch(wanted: StreamRequest, response: Response) -> StreamStatus:
        """Watch a live source, RTSP, HTTP or a growing file, until it ends or is deleted."""
        most = context.settings.max_streams
        options = StreamOptions(**wanted.model_dump(include=set(StreamOptions.model_fields)))
        try:
            await check_webhook(context, wanted.webhook)
            source, name = await checked(wanted)
        except ValueError as error:
            raise unprocessable(error) from None
        shown = safe_name(wanted.name) if wanted.name.strip() else name
        try:
            number = await asyncio.to_thread(streams.add, shown, source, options, most)
        except FullError:
            raise HTTPException(
                429, f"{most} streams are watched already: stop one first", {"Retry-After": "60"}
            ) from None
        response.headers["Location"] = f"/v1/streams/{number}"
        return await asyncio.to_thread(status_of, number)

    async def checked(wanted: StreamRequest) -> tuple[StreamSource, str]:
        """Return the source as the watcher opens it, and a name that gives nothing away."""
        if wanted.path is not None:
            path = path_below(context.settings.allowed_root, wanted.path)
            return StreamSource(path=str(path)), path.name
        url = str(wanted.url)
        if url.lower().startswith(("http:", "https:")):
            await context.fetcher.check(url)
        else:
            await context.fetcher.pin(url)
        place = urlsplit(url)
        return StreamSource(url=url), safe_name(f"{place.hostname}{place.path}".replace("/", " "))

    @routes.get(
        "/v1/streams",
        operation_id="streams",
        dependencies=[reads],
        responses={200: leads_to("stream", "stop", number="$response.body#/items/0/id")},
    )
    def listing(
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    ) -> StreamList:
        """List streams, newest first."""
        items, total = streams.listing(limit, offset)
        return StreamList(items=items, total=total)

    @routes.get(
        "/v1/streams/{number}",
        operation_id="stream",
        dependencies=[reads],
        responses={200: leads_to(triage_alert=NEWEST, alert_frame=NEWEST)},
    )
    def get(number: str) -> StreamStatus:
        """Say where a stream stands, with its latest alerts."""
        return status_of(number)

    @routes.delete(
        "/v1/streams/{number}", operation_id="stop", status_code=204, dependencies=[submits]
    )
    def stop(number: str) -> None:
        """Stop watching a stream, and forget it and its alerts."""
        if not streams.remove(number):
            raise HTTPException(404, f"there is no stream {number[:64]!r}")

    @routes.get(
        "/v1/streams/{number}/events",
        operation_id="follow_stream",
        dependencies=[reads],
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}, **problems(429)},
    )
    async def follow(number: str, request: Request) -> StreamingResponse:
        """Follow a stream: server-sent events `scores`, `alert`, `notice`, and at the end `ended`.
        `Last-Event-ID` goes on where a connection broke.
        """
        await asyncio.to_thread(status_of, number)

        def ending() -> tuple[str, dict[str, str]] | None:
            found = streams.status(number)
            if found is None:
                return "", {}
            return ("ended", {}) if found.state == "ended" else None

        return event_stream(streams, context.news, number, request, ending)

    @routes.patch(
        ALERT, operation_id="triage_alert", dependencies=[submits], responses=problems(400)
    )
    def triage(number: str, alert: Number, wanted: TriageRequest) -> AlertStatus:
        """Keep what a person made of an alert."""
        streams.triage(number, alert, wanted.triage)
        return alert_of(number, alert)

    @routes.get(
        f"{ALERT}/frame",
        operation_id="alert_frame",
        dependencies=[reads],
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}},
    )
    def frame(number: str, alert: Number) -> Response:
        """Show the picture of an alert's peak as JPEG."""
        picture = streams.frame(number, alert)
        if picture is None:
            raise HTTPException(404, f"there is no picture of an alert {alert} of such a stream")
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "no-cache"})

    return routes
