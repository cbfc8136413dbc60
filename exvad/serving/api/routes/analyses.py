"""Endpoints of analyses: list, get, follow, triage and delete them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from exvad.serving.api.analysis_status import (
    ENDED,
    analysis_not_found,
    read_status,
    wait_for_end,
)
from exvad.serving.api.dependencies import CAN_READ, CAN_SUBMIT, AnalysesDep, ContextDep
from exvad.serving.api.event_stream import Ending, follow_events
from exvad.serving.api.labels import write_labels
from exvad.serving.api.links import FIRST_ITEM_ID, RESPONSE_ID, links_to
from exvad.serving.api.problems import documented
from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.schemas.analyses import (
    MAX_WAIT_SECONDS,
    AnalysisList,
    AnalysisState,
    AnalysisStatus,
    TriageRequest,
)

router = APIRouter(
    prefix="/v1/analyses", tags=["analyses"], responses=documented(401, 403, 404, 422)
)


@router.get(
    "",
    operation_id="list_analyses",
    dependencies=[CAN_READ],
    responses={200: links_to("get_analysis", "delete_analysis", analysis_id=FIRST_ITEM_ID)},
)
def list_analyses(
    context: ContextDep,
    state: AnalysisState | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> AnalysisList:
    """List analyses without their results, newest first."""
    items, total = context.analyses.list_page(state, limit, offset)
    end = offset + len(items)
    return AnalysisList(
        items=items,
        total=total,
        next_offset=end if end < total else None,
        free=max(0, context.settings.max_waiting - context.analyses.num_waiting()),
    )


@router.get(
    "/{analysis_id}",
    operation_id="get_analysis",
    dependencies=[CAN_READ],
    responses={200: links_to("get_frame", analysis_id=RESPONSE_ID, caption=1)},
)
async def get_analysis(
    analysis_id: str,
    request: Request,
    context: ContextDep,
    wait: Annotated[
        float,
        Query(
            ge=0, le=MAX_WAIT_SECONDS, description="longest time to wait for the end, in seconds"
        ),
    ] = 0,
    result: Annotated[bool, Query(description="false: without the result")] = True,
) -> AnalysisStatus:
    """Return the status of an analysis, with its result if it is done."""
    return await wait_for_end(context, analysis_id, wait, request, result)


@router.patch(
    "/{analysis_id}",
    operation_id="update_analysis",
    dependencies=[CAN_SUBMIT],
    responses=documented(400, 413),
)
def update_analysis(
    analysis_id: str, update: TriageRequest, analyses: AnalysesDep
) -> AnalysisStatus:
    """Store what a person decided about an analysis."""
    analyses.set_triage(analysis_id, update.triage)
    return read_status(analyses, analysis_id, with_result=False)


@router.delete(
    "/{analysis_id}",
    operation_id="delete_analysis",
    status_code=204,
    dependencies=[CAN_SUBMIT],
    responses=documented(500, 507),
)
def delete_analysis(analysis_id: str, context: ContextDep) -> None:
    """Delete an analysis, its uploaded video and its labels. Work on the analysis stops."""
    if not context.analyses.delete(analysis_id):
        raise analysis_not_found(analysis_id)
    write_labels(context)


@router.get(
    "/{analysis_id}/events",
    operation_id="follow_analysis",
    dependencies=[CAN_READ],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **documented(429)},
)
async def follow_analysis(
    analysis_id: str, request: Request, context: ContextDep
) -> StreamingResponse:
    """Send the events of an analysis until it has ended.

    The server-sent events are `progress`, `first_scores` (from the visual features alone, while the
    video is processed), `writing` (the explanation so far, while it is written), `scores`,
    `events`, `explanation`, and at the end `done` or `failed`. The request header `Last-Event-ID`
    continues after an event that the client already has.
    """
    await asyncio.to_thread(read_status, context.analyses, analysis_id, False)
    read_ending = partial(_read_ending, context.analyses, analysis_id)
    return follow_events(context.analyses, context.notifier, analysis_id, request, read_ending)


def _read_ending(analyses: AnalysisQueue, analysis_id: str) -> Ending | None:
    status = analyses.status(analysis_id, with_result=False)
    if status is None:
        return Ending()
    if status.state not in ENDED:
        return None
    return Ending(status.state, {"error": status.error} if status.error else {})
