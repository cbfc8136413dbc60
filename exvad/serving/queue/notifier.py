"""Hearing of events as they are noted: one look at the file serves all who wait in this process."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from exvad.serving.queue.database import Changes, Database

POLL_SECONDS = 0.005


class TooManyFollowersError(Exception):
    """As many wait for news as may."""


class EventNotifier:
    """Wakes those who wait for an analysis or a stream when an event is noted about it.

    Args:
        database: where the events are noted.
        most: how many may wait at once.
    """

    def __init__(self, database: Database, most: int) -> None:
        self._database = database
        self._most = most
        self._waiting: dict[asyncio.Event, str] = {}
        self._looking: asyncio.Task[None] | None = None

    def crowded(self) -> bool:
        """Tell whether as many wait as may."""
        return len(self._waiting) >= self._most

    @contextmanager
    def of(self, number: str) -> Iterator[asyncio.Event]:
        """Give what is set at each event of an analysis or stream; whoever waits clears it.

        Raises:
            CrowdError: too many wait already.
        """
        if self.crowded():
            raise TooManyFollowersError
        heard = asyncio.Event()
        self._waiting[heard] = number
        if self._looking is None or self._looking.done():
            # What is noted from here on is news; what was before, whoever waits reads by itself.
            changes = self._database.changes()
            self._looking = asyncio.create_task(self._look(changes, changes.newest()))
        try:
            yield heard
        finally:
            del self._waiting[heard]

    async def _look(self, changes: Changes, last: int) -> None:
        unread = True
        try:
            while self._waiting:
                with suppress(sqlite3.OperationalError):  # locked, say: asked again
                    unread = changes.seen() or unread
                    if unread:
                        about = changes.told_of(last)
                        last, unread = max(about.values(), default=last), False
                        for heard, number in self._waiting.items():
                            if number in about:
                                heard.set()
                await asyncio.sleep(POLL_SECONDS)
        finally:
            changes.close()


async def wait_for_event(heard: asyncio.Event, seconds: float) -> None:
    """Wait for news, some seconds at most."""
    try:
        async with asyncio.timeout(seconds):
            await heard.wait()
    except TimeoutError:
        return
    heard.clear()
