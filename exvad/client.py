"""A client of the server: submit a video, wait for the answer, follow the work; sync and async.

client = Client("http://localhost:8000")
answer = client.analyze("clip.mp4")
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import httpx2 as httpx
from pydantic import BaseModel, ConfigDict

from exvad.results import Analysis

TRANSIENT = (429, 502, 503, 504)
LONG_POLL = 20.0
ENDED = ("done", "failed")
CHUNK = 2**20

Categories = Mapping[str, Sequence[str]]


class ServerError(ValueError):
    """The server refused a request, or could not answer about a video.

    Attributes:
        status: the HTTP status; 200 where the analysis itself failed.
    """

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        super().__init__(detail)


class Job(BaseModel):
    """Where an analysis stands.

    Args:
        id: names it to the server.
        name: file name of the video.
        state: queued, running, done or failed.
        progress: share of the video that has been seen, 0 to 1.
        error: why it failed.
        result: the answer, once it is there.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    name: str
    state: Literal["queued", "running", "done", "failed"]
    progress: float
    error: str | None = None
    result: Analysis | None = None

    def answer(self) -> Analysis:
        """Return the result.

        Raises:
            ServerError: the analysis failed.
        """
        if self.result is None:
            raise ServerError(200, f"{self.name}: {self.error or f'is still {self.state}'}")
        return self.result


@dataclass(frozen=True)
class Told:
    """One event of an analysis: `progress`, `scores`, `events`, `explanation`, `done`, `failed`."""

    kind: str
    data: dict[str, Any]


@dataclass
class _EventReader:
    """Puts lines of server-sent events together; knows where to go on."""

    last: str = ""
    _kind: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, line: str) -> Told | None:
        """Take a line; return the event it ends."""
        name, _, value = line.partition(": ")
        if name == "id":
            self.last = value
        elif name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        elif not line and self._kind:
            told = Told(self._kind, json.loads("\n".join(self._data) or "{}"))
            self._kind, self._data = "", []
            return told
        return None

    def headers(self) -> dict[str, str]:
        """Return what a new connection must say to go on."""
        return {"Last-Event-ID": self.last} if self.last else {}


def _pause(attempt: int, response: httpx.Response | None = None) -> float:
    """Return how long to wait before another attempt: what the server says, or twice as long."""
    wanted = "" if response is None else response.headers.get("retry-after", "")
    return float(wanted) if wanted.isdigit() else 0.5 * 2**attempt


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"{response.status_code} {response.reason_phrase}"
    raise ServerError(response.status_code, detail)


def _is_final(attempt: int, retries: int, error: httpx.TransportError, repeatable: bool) -> bool:
    """Whether to give up: what may have arrived is sent again only if that does no harm."""
    return attempt >= retries or not (repeatable or isinstance(error, httpx.ConnectError))


def _lost(http: httpx.Client | httpx.AsyncClient, error: httpx.TransportError) -> ConnectionError:
    return ConnectionError(f"{http.base_url}: no answer ({error or type(error).__name__})")


def _settings(url: str, key: str | None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return {"base_url": url, "headers": headers, "timeout": httpx.Timeout(30, read=60)}


def _long_poll(until: float) -> dict[str, float]:
    """Ask the server to hold its answer, but less long than a proxy between may allow."""
    return {"wait": round(min(max(until - time.monotonic(), 0.0), LONG_POLL), 3)}


def _submission(
    video: Path, categories: Categories | None, threshold: float | None
) -> dict[str, str]:
    params = {"name": video.name}
    if threshold is not None:
        params["threshold"] = str(threshold)
    if categories:
        params["categories"] = json.dumps({name: list(own) for name, own in categories.items()})
    return params


class Client:
    """Talks to a server; use it as a context manager, or close it.

    Args:
        url: of the server.
        key: API key, where the server asks for one.
        retries: how often a request is repeated that the network or a full queue turned away.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", key: str | None = None, retries: int = 5
    ) -> None:
        self._http = httpx.Client(**_settings(url, key))
        self._retries = retries

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def analyze(
        self,
        video: str | Path,
        categories: Categories | None = None,
        threshold: float | None = None,
        timeout: float = 3600,
    ) -> Analysis:
        """Submit a video and wait for the answer.

        Args:
            video: a file.
            categories: classes to look for besides those trained on, with phrases.
            threshold: snippets above it are abnormal; None for what was calibrated.
            timeout: seconds to wait at most.

        Raises:
            ServerError: the server refuses the video or can't answer about it.
            TimeoutError: it takes longer.
        """
        return self.wait(self.submit(video, categories, threshold).id, timeout).answer()

    def submit(
        self,
        video: str | Path,
        categories: Categories | None = None,
        threshold: float | None = None,
    ) -> Job:
        """Submit a video; return its analysis, which has just begun to wait.

        Raises:
            ServerError: the server refuses it.
            ConnectionError: there is no server, or the connection broke while the video was sent.
        """
        path = Path(video)

        def ask() -> httpx.Response:
            with path.open("rb") as file:
                return self._http.post(
                    "/v1/analyses",
                    params=_submission(path, categories, threshold),
                    content=iter(lambda: file.read(CHUNK), b""),
                )

        return Job.model_validate(self._send(ask, repeatable=False).json())

    def get(self, job: str) -> Job:
        """Return where an analysis stands.

        Raises:
            ServerError: there is none of this id.
        """
        found = self._send(lambda: self._http.get(f"/v1/analyses/{job}"), repeatable=True)
        return Job.model_validate(found.json())

    def wait(self, job: str, timeout: float = 3600) -> Job:
        """Wait until an analysis has ended.

        Raises:
            TimeoutError: it takes longer.
        """
        until = time.monotonic() + timeout
        while (found := self._waited(job, until)).state not in ENDED:
            if time.monotonic() > until:
                raise TimeoutError(f"{found.name}: {found.state} after {timeout:.0f} s")
        return found

    def follow(self, job: str) -> Iterator[Told]:
        """Yield the events of an analysis while it works; goes on where a connection broke."""
        reader, attempt = _EventReader(), 0
        while True:
            try:
                with self._http.stream(
                    "GET", f"/v1/analyses/{job}/events", headers=reader.headers()
                ) as response:
                    if not response.is_success:
                        response.read()
                    for line in _checked(response).iter_lines():
                        if (told := reader.feed(line)) is not None:
                            attempt = 0
                            yield told
                            if told.kind in ENDED:
                                return
                if self.get(job).state in ENDED:
                    return
            except httpx.TransportError as error:
                if attempt >= self._retries:
                    raise _lost(self._http, error) from error
                time.sleep(_pause(attempt))
                attempt += 1

    def _waited(self, job: str, until: float) -> Job:
        path, params = f"/v1/analyses/{job}", _long_poll(until)
        found = self._send(lambda: self._http.get(path, params=params), repeatable=True)
        return Job.model_validate(found.json())

    def _send(self, ask: Callable[[], httpx.Response], repeatable: bool) -> httpx.Response:
        for attempt in range(self._retries + 1):
            try:
                response = ask()
            except httpx.TransportError as error:
                if _is_final(attempt, self._retries, error, repeatable):
                    raise _lost(self._http, error) from error
                time.sleep(_pause(attempt))
                continue
            if response.status_code not in TRANSIENT or attempt == self._retries:
                return _checked(response)
            time.sleep(_pause(attempt, response))
        raise AssertionError("the last attempt returns or raises")


class AsyncClient:
    """The same for asyncio; see `Client`.

    Args:
        url: of the server.
        key: API key, where the server asks for one.
        retries: how often a request is repeated that the network or a full queue turned away.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", key: str | None = None, retries: int = 5
    ) -> None:
        self._http = httpx.AsyncClient(**_settings(url, key))
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
        timeout: float = 3600,
    ) -> Analysis:
        """Submit a video and wait for the answer; see `Client.analyze`."""
        job = await self.submit(video, categories, threshold)
        return (await self.wait(job.id, timeout)).answer()

    async def submit(
        self,
        video: str | Path,
        categories: Categories | None = None,
        threshold: float | None = None,
    ) -> Job:
        """Submit a video; see `Client.submit`."""
        path = Path(video)

        async def body() -> AsyncIterator[bytes]:
            with path.open("rb") as file:
                while part := await asyncio.to_thread(file.read, CHUNK):
                    yield part

        def ask() -> Awaitable[httpx.Response]:
            params = _submission(path, categories, threshold)
            return self._http.post("/v1/analyses", params=params, content=body())

        return Job.model_validate((await self._send(ask, repeatable=False)).json())

    async def get(self, job: str) -> Job:
        """Return where an analysis stands; see `Client.get`."""
        found = await self._send(lambda: self._http.get(f"/v1/analyses/{job}"), repeatable=True)
        return Job.model_validate(found.json())

    async def wait(self, job: str, timeout: float = 3600) -> Job:
        """Wait until an analysis has ended; see `Client.wait`."""
        until = time.monotonic() + timeout
        while (found := await self._waited(job, until)).state not in ENDED:
            if time.monotonic() > until:
                raise TimeoutError(f"{found.name}: {found.state} after {timeout:.0f} s")
        return found

    async def follow(self, job: str) -> AsyncIterator[Told]:
        """Yield the events of an analysis while it works; see `Client.follow`."""
        reader, attempt = _EventReader(), 0
        while True:
            try:
                async with self._http.stream(
                    "GET", f"/v1/analyses/{job}/events", headers=reader.headers()
                ) as response:
                    if not response.is_success:
                        await response.aread()
                    async for line in _checked(response).aiter_lines():
                        if (told := reader.feed(line)) is not None:
                            attempt = 0
                            yield told
                            if told.kind in ENDED:
                                return
                if (await self.get(job)).state in ENDED:
                    return
            except httpx.TransportError as error:
                if attempt >= self._retries:
                    raise _lost(self._http, error) from error
                await asyncio.sleep(_pause(attempt))
                attempt += 1

    async def _waited(self, job: str, until: float) -> Job:
        path, params = f"/v1/analyses/{job}", _long_poll(until)
        found = await self._send(lambda: self._http.get(path, params=params), repeatable=True)
        return Job.model_validate(found.json())

    async def _send(
        self, ask: Callable[[], Awaitable[httpx.Response]], repeatable: bool
    ) -> httpx.Response:
        for attempt in range(self._retries + 1):
            try:
                response = await ask()
            except httpx.TransportError as error:
                if _is_final(attempt, self._retries, error, repeatable):
                    raise _lost(self._http, error) from error
                await asyncio.sleep(_pause(attempt))
                continue
            if response.status_code not in TRANSIENT or attempt == self._retries:
                return _checked(response)
            await asyncio.sleep(_pause(attempt, response))
        raise AssertionError("the last attempt returns or raises")
