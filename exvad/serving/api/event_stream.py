"""Following an analysis or a stream while it works: server-sent events, from wherever one was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from fastapi import HTTPException, Request
from fastapi.responses import StreamingResponse

from exvad.serving.queue.notifier import EventNotifier, TooManyFollowersError, wait_for_event

if TYPE_CHECKING:
    from exvad.serving.queue.database import Database

LOOK_SECONDS = 5.0  # nobody is told of a deletion
SILENCE_SECONDS = 15.0  # then a comment is sent, which tells of a client that has left

# What ended and the event's data, None while it goes on, and "" where nobody knows it any more.
Ending = Callable[[], "tuple[str, dict[str, str]] | None"]


def last_event(request: Request) -> int:
    """Return the event after which a client wants to go on, by its `Last-Event-ID`."""
    last = request.headers.get("last-event-id", "")
    return int(last) if last.isascii() and last.isdigit() and len(last) < 16 else 0


def event_stream(
    database: Database, news: EventNotifier, number: str, request: Request, ending: Ending
) -> StreamingResponse:
    """Return the answer that follows an analysis or a stream; 429 where too many follow.

    Args:
        database: where the events are noted.
        news: tells of new ones.
        number: id of the analysis or stream.
        request: of the client.
        ending: says how it ended: the last event's kind and data; None while it goes on.
    """
    if news.crowded():
        raise HTTPException(
            429, "as many follow already as the server lets: try again later", {"Retry-After": "10"}
        )
    return StreamingResponse(
        _events(database, news, number, last_event(request), ending),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )


async def _events(
    database: Database, news: EventNotifier, number: str, after: int, ending: Ending
) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    spoke = clock()
    try:
        with news.of(number) as heard:
            while True:
                # Whoever has ended has said so before: asked in this order no event is missed.
                ended = await asyncio.to_thread(ending)
                told = await asyncio.to_thread(database.events, number, after)
                for after, kind, data in told:
                    yield f"id: {after}\nevent: {kind}\ndata: {data}\n\n"
                if told:
                    spoke = clock()
                if ended is not None:
                    kind, detail = ended
                    if kind and not told and after == 0:  # its events are kept no more
                        yield f"event: {kind}\ndata: {json.dumps(detail)}\n\n"
                    return
                if clock() - spoke > SILENCE_SECONDS:
                    spoke = clock()
                    yield ": still there\n\n"
                await wait_for_event(heard, LOOK_SECONDS)
    except TooManyFollowersError:  # others came between: the client comes again
        return
