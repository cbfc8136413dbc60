"""Following an analysis or a stream while it works: server-sent events, from wherever one was."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.responses import StreamingResponse

if TYPE_CHECKING:
    from serve.database import Changes, Database

POLL_SECONDS = 0.005
LOOK_SECONDS = 1.0
SILENCE_SECONDS = 15.0  # then a comment is sent, which tells of a client that has left

# What ended and the event's data, None while it goes on, and "" where nobody knows it any more.
Ending = Callable[[], "tuple[str, dict[str, str]] | None"]


def last_event(request: Request) -> int:
    """Return the event after which a client wants to go on, by its `Last-Event-ID`."""
    last = request.headers.get("last-event-id", "")
    return int(last) if last.isascii() and last.isdigit() and len(last) < 16 else 0


def event_stream(
    database: Database, number: str, request: Request, ending: Ending
) -> StreamingResponse:
    """Return the answer that follows an analysis or a stream.

    Args:
        database: where the events are noted.
        number: id of the analysis or stream.
        request: of the client.
        ending: says how it ended: the last event's kind and data; None while it goes on.
    """
    return StreamingResponse(
        _events(database, number, last_event(request), ending),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )


async def until(changes: Changes, ready: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Wait until something is ready, asked whenever the file changed, for some seconds at most."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while True:
        late = clock() >= end
        if (changes.seen() and await ready()) or late:
            return
        await asyncio.sleep(POLL_SECONDS)


async def _events(
    database: Database, number: str, after: int, ending: Ending
) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    changes, looked, spoke = database.changes(), -math.inf, clock()
    try:
        while True:
            if not changes.seen() and clock() - looked < LOOK_SECONDS:
                await asyncio.sleep(POLL_SECONDS)
                continue
            quiet, looked = clock() - looked >= LOOK_SECONDS, clock()
            ended = await asyncio.to_thread(ending)
            told = await asyncio.to_thread(database.events, number, after)
            for after, kind, data in told:
                yield f"id: {after}\nevent: {kind}\ndata: {data}\n\n"
            if told:
                spoke = clock()
            elif clock() - spoke > SILENCE_SECONDS:
                spoke = clock()
                yield ": still there\n\n"
            if ended is None:
                continue
            kind, detail = ended
            if not kind or (told and told[-1][1] == kind):
                return
            if not told and quiet:
                if after == 0:
                    yield f"event: {kind}\ndata: {json.dumps(detail)}\n\n"
                return
    finally:
        changes.close()
