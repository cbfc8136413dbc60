"""Routes of analyses: list, look, follow, judge, delete."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import StreamingResponse

from exvad.serving.api.context import Context
from exvad.serving.api.event_stream import LOOK_SECONDS, event_stream
from exvad.serving.api.links import leads_to
from exvad.serving.api.problems import problems
from exvad.serving.queue.analyses import Queue
from exvad.serving.queue.notifier import TooManyFollowersError, wait_for_event
from exvad.serving.schemas.analyses import AnalysisList, AnalysisStatus, State, TriageRequest

ENDED = ("done", "failed")
LONGEST_WAIT = 600


def status_of(queue: Queue, number: str, with_result: bool = True) -> AnalysisStatus:
    """Return where an analysis stands, or answer 404."""
    found = queue.status(number, with_result)
    if found is None:
        raise HTTPException(404, f"there is no analysis {number[:64]!r}")
    return found


async def finished(context: Context, number: str, wait: float, request: Request) -> AnalysisStatus:
    """Return where an analysis stands, after it has ended or some seconds have passed.

    Where as many wait already as may, it is answered at once.
    """
    queue, clock = context.queue, asyncio.get_running_loop().time
    end = clock() + wait
    if wait:
        with suppress(TooManyFollowersError), context.news.of(number) as heard:
            while (left := end - clock()) > 0:
                found = await asyncio.to_thread(status_of, queue, number, False)
                if found.state in ENDED or await request.is_disconnected():
                    break
                await wait_for_event(heard, min(left, LOOK_SECONDS))
    return await asyncio.to_thread(status_of, queue, number)


def analysis_routes(context: Context) -> APIRouter:
    """Return the routes.

    Args:
        context: what the routes share.
    """
    routes, queue = APIRouter(responses=problems(401, 403, 404, 422)), context.queue
    reads = Depends(context.keys.require("read"))
    submits = Depends(context.keys.require("submit"))

    @routes.get(
        "/v1/analyses",
        operation_id="list",
        dependencies=[reads],
        responses={200: leads_to("get", "delete", number="$response.body#/items/0/id")},
    )
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

    @routes.get(
        "/v1/analyses/{number}",
        operation_id="get",
        dependencies=[reads],
        responses={200: leads_to(frame={"caption": 1})},
    )
    async def get(
        number: str,
        request: Request,
        wait: Annotated[
            float, Query(ge=0, le=LONGEST_WAIT, description="seconds to wait for its end")
        ] = 0,
    ) -> AnalysisStatus:
        """Say where an analysis stands, with its result if it is done."""
        return await finished(context, number, wait, request)

    @routes.patch(
        "/v1/analyses/{number}",
        operation_id="triage",
        dependencies=[submits],
        responses=problems(400),
    )
    def triage(number: str, wanted: TriageRequest) -> AnalysisStatus:
        """Keep what a person made of an analysis."""
        queue.triage(number, wanted.triage)
        return status_of(queue, number, with_result=False)

    @routes.delete(
        "/v1/analyses/{number}", operation_id="delete", status_code=204, dependencies=[submits]
    )
    def delete(number: str) -> None:
        """Forget an analysis and its uploaded video; work on it stops."""
        if not queue.remove(number):
            raise HTTPException(404, f"there is no analysis {number[:64]!r}")

    @routes.get(
        "/v1/analyses/{number}/events",
        operation_id="follow",
        dependencies=[reads],
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}, **problems(429)},
    )
    async def follow(number: str, request: Request) -> StreamingResponse:
        """Follow an analysis: server-sent events `progress`, `first_scores` (by the pictures alone,
        while it is seen), `writing` (the explanation as it is written), `scores`, `events`,
        `explanation`, and at the end `done` or `failed`. `Last-Event-ID` goes on where a
        connection broke.
        """
        await asyncio.to_thread(status_of, queue, number, False)

        def ending() -> tuple[str, dict[str, str]] | None:
            found = queue.status(number, with_result=False)
            if found is None:
                return "", {}
            if found.state not in ENDED:
                return None
            return found.state, {"error": found.error} if found.error else {}

        return event_stream(queue, context.news, number, request, ending)

    return routes
