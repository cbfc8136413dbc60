"""The client for asyncio; its methods are those of `exvad.client.Client`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import httpx2 as httpx

from exvad.client.protocol import (
    CHUNK,
    TRANSIENT,
    Categories,
    EventReader,
    Job,
    ServerEvent,
    Stream,
    checked,
    is_final,
    long_poll,
    lost,
    pause,
    settings,
    submission,
)
from exvad.results import Analysis


class AsyncClient:
    """Talks to a server; use it as an asynchronous context manager, or close it.

    Args:
        url: of the server.
        key: API key, where the server asks for one.
        retries: how often a request is repeated that the network or a full queue turned away.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", key: str | None = None, retries: int = 5
    ) -> None:
        self._http = httpx.AsyncClient(**settings(url, key))
        self._retries = retries

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def analyze(
        self,
        video: str | Path,
        categories: Categories | None = None,
        threshold: float | None = None,
        explain: bool = True,
        timeout: float = 3600,
    ) -> Analysis:
        """Submit a video and wait for the answer; see `Client.analyze`."""
        job = await self.submit(video, categories, threshold, explain)
        return (await self.wait(job.id, timeout)).answer()

    async def submit(
        self,
        video: str | Path,
        categories: Categories | None = None,
        threshold: float | None = None,
        explain: bool = True,
        webhook: str | None = None,
    ) -> Job:
        """Submit a video; see `Client.submit`."""
        path = Path(video)
        params = submission(path, categories, threshold, explain, webhook)

        async def body() -> AsyncIterator[bytes]:
            with path.open("rb") as file:
                while part := await asyncio.to_thread(file.read, CHUNK):
                    yield part

        def ask() -> Awaitable[httpx.Response]:
            return self._http.post("/v1/analyses", params=params, content=body())

        return Job.model_validate((await self._send(ask, repeatable=False)).json())

    async def get(self, job: str) -> Job:
        """Return where an analysis stands; see `Client.get`."""
        return Job.model_validate(await self._get(f"/v1/analyses/{job}"))

    async def wait(self, job: str, timeout: float = 3600) -> Job:
        """Wait until an analysis has ended; see `Client.wait`."""
        until = time.monotonic() + timeout
        while True:
            found = Job.model_validate(await self._get(f"/v1/analyses/{job}", long_poll(until)))
            if found.ended:
                return found
            if time.monotonic() > until:
                raise TimeoutError(f"{found.name}: {found.state} after {timeout:.0f} s")

    def follow(self, job: str) -> AsyncIterator[ServerEvent]:
        """Yield the events of an analysis while it works; see `Client.follow`."""

        async def ended() -> bool:
            return (await self.get(job)).ended

        return self._follow(f"/v1/analyses/{job}", ended)

    async def watch(
        self, url: str | None = None, path: str | None = None, **options: Any
    ) -> Stream:
        """Have a live stream watched; see `Client.watch`."""
        source = {"url": url} if path is None else {"path": path}

        def ask() -> Awaitable[httpx.Response]:
            return self._http.post("/v1/streams", json={**source, **options})

        return Stream.model_validate((await self._send(ask, repeatable=False)).json())

    async def stream(self, stream: str) -> Stream:
        """Return where a live stream stands; see `Client.stream`."""
        return Stream.model_validate(await self._get(f"/v1/streams/{stream}"))

    def follow_stream(self, stream: str) -> AsyncIterator[ServerEvent]:
        """Yield the events of a live stream; see `Client.follow_stream`."""

        async def ended() -> bool:
            return (await self.stream(stream)).ended

        return self._follow(f"/v1/streams/{stream}", ended)

    async def stop(self, stream: str) -> None:
        """Stop watching a live stream; see `Client.stop`."""
        await self._send(lambda: self._http.delete(f"/v1/streams/{stream}"), repeatable=True)

    async def _follow(
        self, place: str, ended: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[ServerEvent]:
        reader, attempt = EventReader(), 0
        while True:
            try:
                async with self._http.stream(
                    "GET", f"{place}/events", headers=reader.headers()
                ) as response:
                    if not response.is_success:
                        await response.aread()
                    if response.status_code in TRANSIENT and attempt < self._retries:
                        await asyncio.sleep(pause(attempt, response))
                        attempt += 1
                        continue
                    async for line in checked(response).aiter_lines():
                        if (told := reader.feed(line)) is not None:
                            attempt = 0
                            yield told
                            if told.last:
                                return
                if await ended():
                    return
                await asyncio.sleep(pause(0))
            except httpx.TransportError as error:
                if attempt >= self._retries:
                    raise lost(self._http, error) from error
                await asyncio.sleep(pause(attempt))
                attempt += 1

    async def _get(self, place: str, params: dict[str, float] | None = None) -> Any:
        def ask() -> Awaitable[httpx.Response]:
            return self._http.get(place, params=params)

        return (await self._send(ask, repeatable=True)).json()

    async def _send(
        self, ask: Callable[[], Awaitable[httpx.Response]], repeatable: bool
    ) -> httpx.Response:
        for attempt in range(self._retries + 1):
            try:
                response = await ask()
            except httpx.TransportError as error:
                if is_final(attempt, self._retries, error, repeatable):
                    raise lost(self._http, error) from error
                await asyncio.sleep(pause(attempt))
                continue
            if response.status_code not in TRANSIENT or attempt == self._retries:
                return checked(response)
            await asyncio.sleep(pause(attempt, response))
        raise AssertionError("the last attempt returns or raises")
