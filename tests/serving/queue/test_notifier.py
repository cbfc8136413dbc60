"""Subscribers are woken at once, by the events of their own subject, and never too late."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.queue.database import ChangeDetector
from exvad.serving.queue.notifier import EventNotifier, TooManyFollowersError, wait_for_event


@pytest.fixture
def queue(tmp_path: Path) -> AnalysisQueue:
    return AnalysisQueue(tmp_path / "queue.sqlite")


@pytest.fixture
def analysis_id(queue: AnalysisQueue) -> str:
    return queue.add("a.mp4", Path("/a"), uploaded=False)


def test_subscribe_wakes_all_subscribers_of_the_subject_and_no_others(
    queue: AnalysisQueue, analysis_id: str
) -> None:
    other_id = queue.add("b.mp4", Path("/b"), uploaded=False)
    queue.append_event(analysis_id, "progress", {})  # before the subscription: not announced

    async def listen() -> None:
        notifier = EventNotifier(queue, max_subscribers=8)
        with (
            notifier.subscribe(analysis_id) as first,
            notifier.subscribe(analysis_id) as second,
            notifier.subscribe(other_id) as other,
        ):
            await asyncio.sleep(0.1)
            assert not first.is_set()
            began = time.monotonic()
            await asyncio.to_thread(queue.append_event, analysis_id, "progress", {})
            await wait_for_event(first, 5)
            await wait_for_event(second, 5)
            assert time.monotonic() - began < 1
            assert not other.is_set()
            began = time.monotonic()
            await wait_for_event(other, 0.2)
            assert time.monotonic() - began >= 0.2

    asyncio.run(listen())


def test_subscribe_misses_no_event_between_reading_and_waiting(
    queue: AnalysisQueue, analysis_id: str
) -> None:
    total = 200

    def append_all() -> None:
        for _ in range(total):
            queue.append_event(analysis_id, "progress", {})

    async def listen() -> int:
        last, count = 0, 0
        with EventNotifier(queue, max_subscribers=8).subscribe(analysis_id) as new_event:
            appending = asyncio.create_task(asyncio.to_thread(append_all))
            while count < total:
                events = await asyncio.to_thread(queue.read_events, analysis_id, last)
                count += len(events)
                last = events[-1][0] if events else last
                if count < total:
                    began = time.monotonic()
                    await wait_for_event(new_event, 20)
                    assert time.monotonic() - began < 20
            await appending
        return count

    assert asyncio.run(listen()) == total


def test_subscribe_refuses_too_many_subscribers_until_one_leaves(
    queue: AnalysisQueue, analysis_id: str
) -> None:
    async def subscribe() -> None:
        notifier = EventNotifier(queue, max_subscribers=2)
        with ExitStack() as subscriptions:
            for _ in range(2):
                subscriptions.enter_context(notifier.subscribe(analysis_id))
            assert notifier.is_full()
            with pytest.raises(TooManyFollowersError), notifier.subscribe(analysis_id):
                pass
        assert not notifier.is_full()

    asyncio.run(subscribe())


def test_subscribe_announces_an_event_that_a_lock_hid_at_first(
    queue: AnalysisQueue, analysis_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    latest_events, failures = ChangeDetector.latest_events, [3]

    def fail_at_first(changes: ChangeDetector, after: int) -> dict[str, int]:
        if failures[0]:
            failures[0] -= 1
            raise sqlite3.OperationalError("database is locked")
        return latest_events(changes, after)

    async def listen() -> None:
        notifier = EventNotifier(queue, max_subscribers=8)
        with notifier.subscribe(analysis_id) as new_event:
            await asyncio.sleep(0.05)
            failures[0] = 3
            await asyncio.to_thread(queue.append_event, analysis_id, "progress", {})
            async with asyncio.timeout(2):
                await new_event.wait()

    monkeypatch.setattr(ChangeDetector, "latest_events", fail_at_first)
    asyncio.run(listen())
    assert failures == [0]
