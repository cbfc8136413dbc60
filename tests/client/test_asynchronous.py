"""The client for asyncio against a real HTTP server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from exvad.client import AsyncClient
from tests.helpers.server import Server


@pytest.mark.usefixtures("no_retry_after")
def test_async_client_analyzes_several_videos_and_follows_the_work(
    server: Server, clip: Path
) -> None:
    server.start_worker()

    async def analyze_and_follow() -> tuple[list[str], list[str]]:
        async with AsyncClient(server.url, retries=400) as client:  # four videos fill the queue
            analyses = await asyncio.gather(*(client.analyze(clip, timeout=30) for _ in range(4)))
            job = await client.submit(clip)
            kinds = [event.kind async for event in client.follow(job.id)]
            return [analysis.label for analysis in analyses], kinds

    labels, kinds = asyncio.run(analyze_and_follow())
    assert labels == ["Arson"] * 4
    assert kinds[-1] == "done"


def test_async_client_names_a_server_that_does_not_respond(unused_url: str) -> None:
    async def get() -> None:
        async with AsyncClient(unused_url, retries=1) as client:
            await client.get("any")

    with pytest.raises(ConnectionError, match=unused_url):
        asyncio.run(get())
