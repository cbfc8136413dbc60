"""The status of an analysis: now, or once the analysis has ended."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fastapi import HTTPException, Request

from exvad.serving.api.context import Context
from exvad.serving.api.event_stream import POLL_SECONDS
from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.queue.notifier import TooManyFollowersError, wait_for_event
from exvad.serving.schemas.analyses import AnalysisStatus

ENDED = ("done", "failed")


def analysis_not_found(analysis_id: str) -> HTTPException:
    """Return the error 404 of an unknown analysis."""
    return HTTPException(404, f"there is no analysis {analysis_id[:64]!r}")


def read_status(
    analyses: AnalysisQueue, analysis_id: str, with_result: bool = True
) -> AnalysisStatus:
    """Return the status of an analysis.

    Args:
        analyses: the queue of analyses.
        analysis_id: id of the analysis.
        with_result: False to leave the result out, which is faster.

    Raises:
        HTTPException: 404 if there is no such analysis.
    """
    status = analyses.status(analysis_id, with_result)
    if status is None:
        raise analysis_not_found(analysis_id)
    return status


async def wait_for_end(
    context: Context,
    analysis_id: str,
    seconds: float,
    request: Request,
    with_result: bool = True,
) -> AnalysisStatus:
    """Return the status of an analysis as soon as it has ended, or after some time.

    The status is returned at once if as many clients wait as the settings permit.

    Args:
        context: the shared objects of the application.
        analysis_id: id of the analysis.
        seconds: longest time to wait.
        request: request of the client; waiting stops when the client disconnects.
        with_result: False to leave the result out.

    Raises:
        HTTPException: 404 if there is no such analysis.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    if seconds:
        with (
            suppress(TooManyFollowersError),
            context.notifier.subscribe(analysis_id) as new_event,
        ):
            while (remaining := deadline - clock()) > 0:
                status = await asyncio.to_thread(read_status, context.analyses, analysis_id, False)
                if status.state in ENDED or await request.is_disconnected():
                    break
                await wait_for_event(new_event, min(remaining, POLL_SECONDS))
    return await asyncio.to_thread(read_status, context.analyses, analysis_id, with_result)
