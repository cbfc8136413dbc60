"""Who waits for news hears of its own, at once; too many are sent away."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from exvad.serving.queue.analyses import Queue
from exvad.serving.queue.database import Changes
from exvad.serving.queue.notifier import EventNotifier, TooManyFollowersError, wait_for_event


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "queue.sqlite")


def test_only_those_it_is_about_are_woken_and_at_once(queue: Queue) -> None:
    mine, other = (queue.add(name, Path("/x"), uploaded=False) for name in ("a", "b"))
    queue.say(mine, "progress", {})  # before anybody listens: no news

    async def listen() -> None:
        news = EventNotifier(queue, most=8)
        with news.of(mine) as heard, news.of(mine) as again, news.of(other) as elsewhere:
            await asyncio.sleep(0.1)
            assert not heard.is_set()
            begin = time.monotonic()
            await asyncio.to_thread(queue.say, mine, "progress", {})
            await wait_for_event(heard, 5)
            await wait_for_event(again, 5)
            assert time.monotonic() - begin < 1
            assert not elsewhere.is_set()
            begin = time.monotonic()
            await wait_for_event(elsewhere, 0.2)
            assert time.monotonic() - begin >= 0.2

    asyncio.run(listen())


def test_no_news_is_lost_however_it_falls_between_reading_and_waiting(queue: Queue) -> None:
    number = queue.add("a", Path("/x"), uploaded=False)
    total = 200

    async def listen() -> int:
        news, after, seen = EventNotifier(queue, most=8), 0, 0
        with news.of(number) as heard:
            writing = asyncio.create_task(asyncio.to_thread(write))
            while seen < total:
                told = await asyncio.to_thread(queue.events, number, after)
                after, seen = (told[-1][0], seen + len(told)) if told else (after, seen)
                if seen < total:
                    begin = time.monotonic()
                    await wait_for_event(heard, 20)
                    assert time.monotonic() - begin < 20
            await writing
        return seen

    def write() -> None:
        for _ in range(total):
            queue.say(number, "progress", {})

    assert asyncio.run(listen()) == total


def test_a_crowd_is_sent_away_and_let_in_once_there_is_room(queue: Queue) -> None:
    number = queue.add("a", Path("/x"), uploaded=False)

    async def come() -> None:
        news = EventNotifier(queue, most=2)
        with ExitStack() as here:
            for _ in range(2):
                here.enter_context(news.of(number))
            assert news.crowded()
            with pytest.raises(TooManyFollowersError), news.of(number):
                pass
        assert not news.crowded()

    asyncio.run(come())


def test_what_could_not_be_read_at_once_is_told_all_the_same(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, failures, told_of = queue.add("a", Path("/x"), uploaded=False), [3], Changes.told_of

    def locked(changes: Changes, after: int) -> dict[str, int]:
        if failures[0]:
            failures[0] -= 1
            raise sqlite3.OperationalError("database is locked")
        return told_of(changes, after)

    async def listen() -> None:
        with EventNotifier(queue, most=8).of(number) as heard:
            await asyncio.sleep(0.05)
            failures[0] = 3
            await asyncio.to_thread(queue.say, number, "progress", {})
            async with asyncio.timeout(2):
                await heard.wait()

    monkeypatch.setattr(Changes, "told_of", locked)
    asyncio.run(listen())
    assert failures == [0]
