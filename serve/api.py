"""The HTTP API, version 1: a FastAPI application over the queue; knows neither Ray nor models."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import ValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

from serve.fetch import Fetcher
from serve.keys import Keys
from serve.metrics import exposition
from serve.models import (
    CATEGORIES,
    AnalysisList,
    AnalysisOptions,
    AnalysisStatus,
    Health,
    ModelList,
    Problem,
    SourceRequest,
    State,
    TriageRequest,
)
from serve.queue import Queue
from serve.settings import ServerSettings
from serve.spool import Spool, TooLargeError, path_below, read_small, safe_name

if TYPE_CHECKING:
    from exvad.results import Analysis

PAGE = Path(__file__).parent / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
ENDED = ("done", "failed")
POLL_SECONDS = 0.02
LOOK_SECONDS = 1.0
LONGEST_WAIT = 600
RETRY_AFTER = "5"


def create_api(settings: ServerSettings) -> FastAPI:
    """Build the application.

    Args:
        settings: where things are kept and what is let in.
    """
    queue = Queue(settings.spool / "queue.sqlite", settings.lease_seconds)
    spool = Spool(settings.spool / "videos", settings.max_bytes)
    keys = Keys(settings.api_keys)
    fetcher = Fetcher(settings)
    api = FastAPI(
        title="exvad",
        version="1",
        summary="When something abnormal happened, what it was, and why.",
        responses={"4XX": {"model": Problem, "content": {"application/problem+json": {}}}},
    )
    reads, submits = Depends(keys.require("read")), Depends(keys.require("submit"))

    def status_of(number: str, with_result: bool = True) -> AnalysisStatus:
        found = queue.status(number, with_result)
        if found is None:
            raise HTTPException(404, f"there is no analysis {number[:64]!r}")
        return found

    def answer_of(number: str) -> Analysis:
        found = status_of(number)
        if found.result is None:
            raise HTTPException(409, f"the analysis is {found.state}: there is no answer to show")
        return found.result

    @api.get("/healthz", operation_id="health")
    def health() -> Health:
        """Say that the server works and how much waits."""
        return Health(waiting=queue.waiting())

    @api.get("/readyz", operation_id="ready", responses={503: {"model": Problem}})
    def ready() -> Health:
        """Say that a model is loaded and takes work; 503 while there is none."""
        if not queue.workers():
            raise HTTPException(503, "no replica has its models loaded yet", {"Retry-After": "2"})
        return Health(waiting=queue.waiting())

    @api.get("/v1/models", operation_id="models", dependencies=[reads])
    def models() -> ModelList:
        """List the replicas that analyze, and with which models."""
        return ModelList(items=queue.workers())

    @api.get(
        "/metrics",
        operation_id="metrics",
        dependencies=[reads],
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}},
    )
    def metrics() -> Response:
        """Tell Prometheus how much came, went and waits, and who works."""
        text = exposition(queue.counts(), queue.waiting(), queue.workers())
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    @api.post(
        "/v1/analyses",
        operation_id="submit",
        status_code=202,
        dependencies=[submits],
        openapi_extra={
            "requestBody": {
                "content": {
                    "multipart/form-data": {
                        "schema": {
                            "type": "object",
                            "required": ["video"],
                            "properties": {"video": {"type": "string", "format": "binary"}},
                        }
                    },
                    "application/json": {"schema": SourceRequest.model_json_schema()},
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                }
            }
        },
        responses={413: {"model": Problem}, 415: {"model": Problem}, 429: {"model": Problem}},
    )
    async def submit(
        request: Request,
        response: Response,
        wait: Annotated[
            float, Query(ge=0, le=LONGEST_WAIT, description="seconds to wait for the answer")
        ] = 0,
        name: Annotated[
            str, Query(max_length=200, description="file name of a video sent as the body")
        ] = "video",
        categories: Annotated[
            str,
            Query(
                max_length=20_000,
                description="classes to look for besides, as JSON: "
                '{"shoplifting": ["someone hides goods in a bag"]}',
            ),
        ] = "{}",
        threshold: Annotated[
            float | None,
            Query(ge=0, le=1, description="snippets above it are abnormal; absent: as calibrated"),
        ] = None,
        explain: Annotated[
            bool, Query(description="false: no captions, no explanation, much faster")
        ] = True,
        webhook: Annotated[
            str | None,
            Query(max_length=2000, description="URL that is posted the analysis at its end"),
        ] = None,
    ) -> AnalysisStatus:
        """Take a video: as form field `video`, as the body, or as `{"path": …}` or `{"url": …}`.

        Answers 202 with the analysis' id, or 200 with the result if it is ready within `wait`.
        """
        if await asyncio.to_thread(queue.waiting) >= settings.max_waiting:
            await asyncio.to_thread(queue.refused)
            raise HTTPException(
                429,
                f"{settings.max_waiting} analyses are waiting already: try again later",
                {"Retry-After": RETRY_AFTER},
            )
        try:
            more = AnalysisOptions(
                categories=CATEGORIES.validate_json(categories),
                threshold=threshold,
                explain=explain,
                webhook=webhook,
            )
            wanted = None
            if request.headers.get("content-type", "").startswith("application/json"):
                wanted = SourceRequest.model_validate_json(await read_small(request))
                own = wanted.model_dump(include=wanted.model_fields_set - {"path", "url"})
                more = more.model_copy(update=own)
            if more.webhook is not None:
                if settings.webhook_secret is None:
                    raise ValueError("webhook: this server has no secret to sign it with")
                await fetcher.check(more.webhook)
            uploaded = True
            if wanted is None:
                shown, path = await spool.take(request, name)
            elif wanted.url is not None:
                async with fetcher.open(wanted.url) as parts:
                    path = await spool.keep(parts)
                shown = safe_name(urlsplit(wanted.url).path)
            else:
                path = path_below(settings.allowed_root, str(wanted.path))
                shown, uploaded = path.name, False
            number = await asyncio.to_thread(queue.add, shown, path, uploaded, more)
        except TooLargeError as error:
            raise HTTPException(413, str(error)) from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "body"
            raise HTTPException(422, f"{where}: {first['msg']}") from None
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        response.headers["Location"] = f"/v1/analyses/{number}"
        found = await finished(number, wait)
        response.status_code = 200 if found.state in ENDED else 202
        return found

    async def finished(number: str, wait: float) -> AnalysisStatus:
        clock = asyncio.get_running_loop().time
        until, changes = clock() + wait, queue.changes()
        try:
            while True:
                if changes.seen() or clock() >= until:
                    found = await asyncio.to_thread(status_of, number, False)
                    if found.state in ENDED or clock() >= until:
                        return await asyncio.to_thread(status_of, number)
                await asyncio.sleep(POLL_SECONDS)
        finally:
            changes.close()

    @api.get("/v1/analyses", operation_id="list", dependencies=[reads])
    def listing(
        state: State | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    ) -> AnalysisList:
        """List analyses, newest first, without their results."""
        items, total = queue.listing(state, limit, offset)
        following = offset + len(items)
        return AnalysisList(
            items=items, total=total, next_offset=following if following < total else None
        )

    @api.get("/v1/analyses/{number}", operation_id="get", dependencies=[reads])
    async def get(
        number: str,
        wait: Annotated[
            float, Query(ge=0, le=LONGEST_WAIT, description="seconds to wait for its end")
        ] = 0,
    ) -> AnalysisStatus:
        """Say where an analysis stands, with its result if it is done."""
        return await finished(number, wait)

    @api.patch("/v1/analyses/{number}", operation_id="triage", dependencies=[submits])
    def triage(number: str, wanted: TriageRequest) -> AnalysisStatus:
        """Keep what a person made of an analysis."""
        queue.triage(number, wanted.triage)
        return status_of(number, with_result=False)

    @api.delete(
        "/v1/analyses/{number}", operation_id="delete", status_code=204, dependencies=[submits]
    )
    def delete(number: str) -> None:
        """Forget an analysis and its uploaded video."""
        if not queue.remove(number):
            raise HTTPException(404, f"there is no analysis {number[:64]!r}")

    @api.get(
        "/v1/analyses/{number}/events",
        operation_id="follow",
        dependencies=[reads],
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def follow(number: str, request: Request) -> StreamingResponse:
        """Follow an analysis: server-sent events `progress`, `first_scores` (by the pictures alone,
        while it is seen), `scores`, `events`, `explanation`, and at the end `done` or `failed`.
        `Last-Event-ID` goes on where a connection broke.
        """
        await asyncio.to_thread(status_of, number, False)
        last = request.headers.get("last-event-id", "")
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else 0
        return StreamingResponse(
            events(number, after),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    async def events(number: str, after: int) -> AsyncIterator[str]:
        clock = asyncio.get_running_loop().time
        changes, looked = queue.changes(), -math.inf
        try:
            while True:
                if not changes.seen() and clock() - looked < LOOK_SECONDS:
                    await asyncio.sleep(POLL_SECONDS)
                    continue
                quiet, looked = clock() - looked >= LOOK_SECONDS, clock()
                found = await asyncio.to_thread(queue.status, number, False)
                told = await asyncio.to_thread(queue.events, number, after)
                for after, kind, data in told:
                    yield f"id: {after}\nevent: {kind}\ndata: {data}\n\n"
                if found is None or (told and told[-1][1] in ENDED):
                    return
                if found.state in ENDED and not told and quiet:
                    if after == 0:
                        detail = json.dumps({"error": found.error} if found.error else {})
                        yield f"event: {found.state}\ndata: {detail}\n\n"
                    return
        finally:
            changes.close()

    @api.get(
        "/v1/analyses/{number}/report",
        operation_id="report",
        dependencies=[reads],
        response_class=HTMLResponse,
    )
    def report(number: str) -> HTMLResponse:
        """Show the answer as a page that stands on its own."""
        from exvad.report import ReportVideo, evidence_frames, render_analyses

        answer, path = answer_of(number), queue.video(number)
        frames = {}
        if path is not None and path.exists():
            frames = evidence_frames(path, answer)
        return HTMLResponse(render_analyses([ReportVideo(answer, frames)], answer.video))

    @api.get(
        "/v1/analyses/{number}/frames/{caption}",
        operation_id="frame",
        dependencies=[reads],
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}},
    )
    def frame(number: str, caption: int) -> Response:
        """Show the captioned frame of a number (1-based) as JPEG."""
        answer, path = answer_of(number), queue.video(number)
        if not 1 <= caption <= len(answer.captions):
            raise HTTPException(404, f"there are captions 1 to {len(answer.captions)}")
        if path is None or not path.exists():
            raise HTTPException(404, "the video is not here any more")
        picture = _jpeg(path, answer.captions[caption - 1].time)
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})

    @api.get(
        "/v1/analyses/{number}/video",
        operation_id="video",
        dependencies=[reads],
        response_class=FileResponse,
    )
    def video(number: str) -> FileResponse:
        """Send the video itself; a player may ask for ranges."""
        status_of(number, with_result=False)
        path = queue.video(number)
        if path is None or not path.exists():
            raise HTTPException(404, "the video is not here any more")
        return FileResponse(path, media_type="video/mp4")

    @api.middleware("http")
    async def guarded(request: Request, call: Any) -> Any:
        response = await call(request)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        if not request.url.path.endswith("/report") and request.url.path != "/docs":
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    @api.exception_handler(StarletteHTTPException)
    async def told(_: Request, error: StarletteHTTPException) -> JSONResponse:
        return _problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @api.exception_handler(RequestValidationError)
    async def refused(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return _problem(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}", {})

    api.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    return api


def _problem(status: int, detail: str, headers: dict[str, str]) -> JSONResponse:
    from http import HTTPStatus

    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return JSONResponse(
        problem.model_dump(), status, headers, media_type="application/problem+json"
    )


def _jpeg(path: Path, time: float, short_side: int = 360) -> bytes:
    import io

    from PIL import Image

    from exvad.data.video import read_frames

    (picture,) = read_frames(path, [time], short_side)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
