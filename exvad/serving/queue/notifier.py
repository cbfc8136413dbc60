"""Notification of new events; one poll of the file serves all subscribers of a process."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from exvad.serving.queue.database import ChangeDetector, Database

POLL_SECONDS = 0.005


class TooManyFollowersError(Exception):
    """The notifier has as many subscribers as it may have."""


class EventNotifier:
    """Wakes subscribers when an event of their analysis or stream is appended.

    Args:
        database: the file of the events.
        max_subscribers: largest number of subscribers.
    """

    def __init__(self, database: Database, max_subscribers: int) -> None:
        self._database = database
        self._max_subscribers = max_subscribers
        self._subscribers: dict[asyncio.Event, str] = {}
        self._polling: asyncio.Task[None] | None = None

    def is_full(self) -> bool:
        """Whether there are as many subscribers as there may be."""
        return len(self._subscribers) >= self._max_subscribers

    @contextmanager
    def subscribe(self, subject_id: str) -> Iterator[asyncio.Event]:
        """Subscribe to the events of an analysis or stream.

        Args:
            subject_id: id of the analysis or stream.

        Yields:
            An asyncio.Event that is set at every new event; the subscriber clears it.

        Raises:
            TooManyFollowersError: there are too many subscribers already.
        """
        if self.is_full():
            raise TooManyFollowersError
        new_event = asyncio.Event()
        self._subscribers[new_event] = subject_id
        if self._polling is None or self._polling.done():
            # Only events after this point are announced; a subscriber reads older ones itself.
            changes = self._database.detect_changes()
            self._polling = asyncio.create_task(self._poll(changes, changes.last_event()))
        try:
            yield new_event
        finally:
            del self._subscribers[new_event]

    async def _poll(self, changes: ChangeDetector, last_event: int) -> None:
        unread = True
        try:
            while self._subscribers:
                with suppress(sqlite3.OperationalError):  # locked: the next poll reads it
                    unread = changes.has_changed() or unread
                    if unread:
                        latest = changes.latest_events(last_event)
                        last_event, unread = max(latest.values(), default=last_event), False
                        for new_event, subject_id in self._subscribers.items():
                            if subject_id in latest:
                                new_event.set()
                await asyncio.sleep(POLL_SECONDS)
        finally:
            changes.close()


async def wait_for_event(new_event: asyncio.Event, seconds: float) -> None:
    """Wait for a new event and clear it.

    Args:
        new_event: see `EventNotifier.subscribe`.
        seconds: longest wait.
    """
    try:
        async with asyncio.timeout(seconds):
            await new_event.wait()
    except TimeoutError:
        return
    new_event.clear()
