"""Dependencies of the endpoints: the application's shared objects, and the required scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from exvad.serving.api.authorization import authorize
from exvad.serving.api.context import Context
from exvad.serving.api.keys import ApiKeys, Scope
from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.queue.streams import StreamQueue

# The dependencies are coroutines because FastAPI runs plain functions in a thread.


async def get_context(request: Request) -> Context:
    """Return the shared objects of the application."""
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(get_context)]


async def get_analyses(context: ContextDep) -> AnalysisQueue:
    """Return the queue of analyses."""
    return context.analyses


async def get_streams(context: ContextDep) -> StreamQueue:
    """Return the queue of streams."""
    return context.streams


async def get_keys(context: ContextDep) -> ApiKeys:
    """Return the API keys that the server accepts."""
    return context.keys


AnalysesDep = Annotated[AnalysisQueue, Depends(get_analyses)]
StreamsDep = Annotated[StreamQueue, Depends(get_streams)]
KeysDep = Annotated[ApiKeys, Depends(get_keys)]


def require(scope: Scope) -> Callable[[Request, Context], Awaitable[None]]:
    """Return a dependency that refuses requests which may not do what a scope permits."""

    async def check_scope(request: Request, context: ContextDep) -> None:
        authorize(request, context.keys, scope, context.address.host)

    return check_scope


CAN_READ = Depends(require("read"))
CAN_SUBMIT = Depends(require("submit"))
