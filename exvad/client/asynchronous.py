"""The client for asyncio. Its methods are those of `exvad.client.Client`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Self, Unpack

import httpx2 as httpx

from exvad.client import protocol
from exvad.client.models import Job, ServerEvent, Stream, SubmitOptions, WatchOptions
from exvad.results import Analysis


class AsyncClient:
    """A client of a server, with the arguments of `Client`.

    Use it as an asynchronous context manager, or close it.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", key: str | None = None, retries: int = 5
    ) -> None:
        self._http = httpx.AsyncClient(**protocol.client_options(url, key))
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
        self, video: str | Path, timeout: float = 3600, **options: Unpack[SubmitOptions]
    ) -> Analysis:
        """Submit a video and wait for the result; see `Client.analyze`."""
        job = await self.submit(video, **options)
        return (await self.wait(job.id, timeout)).require_result()

    async def submit(self, video: str | Path, **options: Unpack[SubmitOptions]) -> Job:
        """Submit a video and return its queued analysis; see `Client.submit`."""
        path = Path(video)
        params = protocol.submission_params(path, **options)

        async def read_parts() -> AsyncIterator[bytes]:
            with path.open("rb") as file:
                while part := await asyncio.to_thread(file.read, protocol.CHUNK_BYTES):
                    yield part

        def post() -> Awaitable[httpx.Response]:
            return self._http.post(protocol.ANALYSES, params=params, content=read_parts())

        return Job.model_validate((await self._send(post, repeatable=False)).json())

    async def get(self, analysis_id: str) -> Job:
        """Return the state of an analysis; see `Client.get`."""
        return Job.model_validate(await self._get(f"{protocol.ANALYSES}/{analysis_id}"))

    async def wait(self, analysis_id: str, timeout: float = 3600) -> Job:
        """Wait until an analysis has ended; see `Client.wait`."""
        deadline = time.monotonic() + timeout
        while True:
            job = Job.model_validate(
                await self._get(
                    f"{protocol.ANALYSES}/{analysis_id}", protocol.long_poll_params(deadline)
                )
            )
            if job.ended:
                return job
            if time.monotonic() > deadline:
                raise TimeoutError(f"{job.name}: {job.state} after {timeout:.0f} s")

    def follow(self, analysis_id: str) -> AsyncIterator[ServerEvent]:
        """Yield the events of an analysis until it has ended; see `Client.follow`."""

        async def has_ended() -> bool:
            return (await self.get(analysis_id)).ended

        return self._follow(f"{protocol.ANALYSES}/{analysis_id}", has_ended)

    async def watch(
        self, url: str | None = None, path: str | None = None, **options: Unpack[WatchOptions]
    ) -> Stream:
        """Watch a live stream; see `Client.watch`."""
        source = {"url": url} if path is None else {"path": path}

        def post() -> Awaitable[httpx.Response]:
            return self._http.post(protocol.STREAMS, json={**source, **options})

        return Stream.model_validate((await self._send(post, repeatable=False)).json())

    async def get_stream(self, stream_id: str) -> Stream:
        """Return the state of a live stream; see `Client.get_stream`."""
        return Stream.model_validate(await self._get(f"{protocol.STREAMS}/{stream_id}"))

    def follow_stream(self, stream_id: str) -> AsyncIterator[ServerEvent]:
        """Yield the events of a live stream until it has ended; see `Client.follow_stream`."""

        async def has_ended() -> bool:
            return (await self.get_stream(stream_id)).ended

        return self._follow(f"{protocol.STREAMS}/{stream_id}", has_ended)

    async def delete_stream(self, stream_id: str) -> None:
        """Stop watching a live stream, and delete it; see `Client.delete_stream`."""
        await self._send(
            lambda: self._http.delete(f"{protocol.STREAMS}/{stream_id}"), repeatable=True
        )

    async def _follow(
        self, path: str, has_ended: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[ServerEvent]:
        """Yield events, and connect again until the last one has arrived."""
        follower = protocol.Follower(self._http.base_url, self._retries)
        while True:
            try:
                async with self._http.stream(
                    "GET", f"{path}/events", headers=follower.resume_headers()
                ) as response:
                    if not response.is_success:
                        await response.aread()
                    delay = follower.delay_after_response(response)
                    if delay is None:
                        async for line in protocol.raise_for_problem(response).aiter_lines():
                            if (event := follower.feed(line)) is not None:
                                yield event
                                if event.is_last:
                                    return
            except httpx.TransportError as error:
                await asyncio.sleep(follower.delay_after_error(error))
                continue
            if delay is None:  # the server closed the connection
                if await has_ended():
                    return
                delay = protocol.RECONNECT_SECONDS
            await asyncio.sleep(delay)

    async def _get(self, path: str, params: dict[str, float] | None = None) -> Any:
        def get() -> Awaitable[httpx.Response]:
            return self._http.get(path, params=params)

        return (await self._send(get, repeatable=True)).json()

    async def _send(
        self, request: Callable[[], Awaitable[httpx.Response]], repeatable: bool
    ) -> httpx.Response:
        """Send a request, again if that can help, and return the successful response."""
        retry = protocol.Retry(self._http.base_url, self._retries, repeatable)
        while True:
            try:
                response = await request()
            except httpx.TransportError as error:
                await asyncio.sleep(retry.delay_after_error(error))
                continue
            delay = retry.delay_after_response(response)
            if delay is None:
                return protocol.raise_for_problem(response)
            await asyncio.sleep(delay)
