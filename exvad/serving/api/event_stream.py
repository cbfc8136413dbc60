"""Server-sent events of an analysis or a stream, from any event on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import HTTPException, Request
from fastapi.responses import StreamingResponse

from exvad.serving.queue.notifier import EventNotifier, TooManyFollowersError, wait_for_event

if TYPE_CHECKING:
    from exvad.serving.queue.database import Database

POLL_SECONDS = 5.0  # a deletion appends no event: it is found by polling
KEEPALIVE_SECONDS = 15.0  # a write to the connection detects that the client has left
_MAX_ID_DIGITS = 15


@dataclass(frozen=True)
class Ending:
    """How an analysis or a stream ended.

    Args:
        kind: kind of the last event; None if the analysis or the stream was deleted.
        data: data of the last event.
    """

    kind: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)


def follow_events(
    database: Database,
    notifier: EventNotifier,
    subject_id: str,
    request: Request,
    read_ending: Callable[[], Ending | None],
) -> StreamingResponse:
    """Return a response that sends events until the analysis or the stream has ended.

    Args:
        database: stores the events.
        notifier: notifies of new events.
        subject_id: id of the analysis or the stream.
        request: request of the client; its header `Last-Event-ID` names the last event it has.
        read_ending: returns how the analysis or the stream ended, or None while it goes on.

    Raises:
        HTTPException: 429 if as many clients follow as the settings permit.
    """
    if notifier.is_full():
        raise HTTPException(
            429, "too many clients follow the server: try again later", {"Retry-After": "10"}
        )
    return StreamingResponse(
        _generate_events(database, notifier, subject_id, _last_event_id(request), read_ending),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"},
    )


def _last_event_id(request: Request) -> int:
    """Return the id of the last event that a client has received; 0 if none."""
    value = request.headers.get("last-event-id", "")
    is_number = value.isascii() and value.isdigit() and len(value) <= _MAX_ID_DIGITS
    return int(value) if is_number else 0


async def _generate_events(
    database: Database,
    notifier: EventNotifier,
    subject_id: str,
    last_id: int,
    read_ending: Callable[[], Ending | None],
) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    sent_at = clock()
    try:
        with notifier.subscribe(subject_id) as new_event:
            while True:
                # The ending is stored together with the last event, so events that are read after
                # the ending include the last one.
                ending = await asyncio.to_thread(read_ending)
                events = await asyncio.to_thread(database.read_events, subject_id, last_id)
                for last_id, kind, data in events:
                    yield f"id: {last_id}\nevent: {kind}\ndata: {data}\n\n"
                if events:
                    sent_at = clock()
                if ending is not None:
                    if ending.kind and not events and last_id == 0:  # its events were deleted
                        yield f"event: {ending.kind}\ndata: {json.dumps(ending.data)}\n\n"
                    return
                if clock() - sent_at > KEEPALIVE_SECONDS:
                    sent_at = clock()
                    yield ": keepalive\n\n"
                await wait_for_event(new_event, POLL_SECONDS)
    except TooManyFollowersError:  # others subscribed in between: the client connects again
        return
