"""The client that waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
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
        self._http = httpx.Client(**settings(url, key))
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
        explain: bool = True,
        timeout: float = 3600,
    ) -> Analysis:
        """Submit a video and wait for the answer.

        Args:
            video: a file.
            categories: classes to look for besides those trained on, with phrases.
            threshold: snippets above it are abnormal; None for what was calibrated.
            explain: False for no captions and no explanation, which is much faster.
            timeout: seconds to wait at most.

        Raises:
            ServerError: the server refuses the video or can't answer about it.
            TimeoutError: it takes longer.
        """
        return self.wait(self.submit(video, categories, threshold, explain).id, timeout).answer()

    def submit(
        self,
        video: str | Path,
        categories: Categories | None = None,
        threshold: float | None = None,
        explain: bool = True,
        webhook: str | None = None,
    ) -> Job:
        """Submit a video; return its analysis, which has just begun to wait.

        Args:
            video: a file.
            categories: classes to look for besides those trained on, with phrases.
            threshold: snippets above it are abnormal; None for what was calibrated.
            explain: False for no captions and no explanation, which is much faster.
            webhook: URL that is posted the analysis at its end.

        Raises:
            ServerError: the server refuses it.
            ConnectionError: there is no server, or the connection broke while the video was sent.
        """
        path = Path(video)
        params = submission(path, categories, threshold, explain, webhook)

        def ask() -> httpx.Response:
            with path.open("rb") as file:
                parts = iter(lambda: file.read(CHUNK), b"")
                return self._http.post("/v1/analyses", params=params, content=parts)

        return Job.model_validate(self._send(ask, repeatable=False).json())

    def get(self, job: str) -> Job:
        """Return where an analysis stands.

        Raises:
            ServerError: there is none of this id.
        """
        return Job.model_validate(self._get(f"/v1/analyses/{job}"))

    def wait(self, job: str, timeout: float = 3600) -> Job:
        """Wait until an analysis has ended.

        Raises:
            TimeoutError: it takes longer.
        """
        until = time.monotonic() + timeout
        while True:
            found = Job.model_validate(self._get(f"/v1/analyses/{job}", long_poll(until)))
            if found.ended:
                return found
            if time.monotonic() > until:
                raise TimeoutError(f"{found.name}: {found.state} after {timeout:.0f} s")

    def follow(self, job: str) -> Iterator[ServerEvent]:
        """Yield the events of an analysis while it works; goes on where a connection broke."""
        return self._follow(f"/v1/analyses/{job}", lambda: self.get(job).ended)

    def watch(self, url: str | None = None, path: str | None = None, **options: Any) -> Stream:
        """Have a live stream watched.

        Args:
            url: rtsp, http or https.
            path: instead of it a growing file below the server's allowed root.
            options: `name`, `on`, `off`, `least_seconds`, `cool_down_seconds`, `explain`,
                `categories`, `webhook`; see the server's `/docs`.

        Raises:
            ServerError: the server refuses it.
        """
        source = {"url": url} if path is None else {"path": path}

        def ask() -> httpx.Response:
            return self._http.post("/v1/streams", json={**source, **options})

        return Stream.model_validate(self._send(ask, repeatable=False).json())

    def stream(self, stream: str) -> Stream:
        """Return where a live stream stands.

        Raises:
            ServerError: there is none of this id.
        """
        return Stream.model_validate(self._get(f"/v1/streams/{stream}"))

    def follow_stream(self, stream: str) -> Iterator[ServerEvent]:
        """Yield the events of a live stream; goes on where a connection broke."""
        return self._follow(f"/v1/streams/{stream}", lambda: self.stream(stream).ended)

    def stop(self, stream: str) -> None:
        """Stop watching a live stream, and have it forgotten."""
        self._send(lambda: self._http.delete(f"/v1/streams/{stream}"), repeatable=True)

    def _follow(self, place: str, ended: Callable[[], bool]) -> Iterator[ServerEvent]:
        reader, attempt = EventReader(), 0
        while True:
            try:
                with self._http.stream(
                    "GET", f"{place}/events", headers=reader.headers()
                ) as response:
                    if not response.is_success:
                        response.read()
                    if response.status_code in TRANSIENT and attempt < self._retries:
                        time.sleep(pause(attempt, response))
                        attempt += 1
                        continue
                    for line in checked(response).iter_lines():
                        if (told := reader.feed(line)) is not None:
                            attempt = 0
                            yield told
                            if told.last:
                                return
                if ended():
                    return
                time.sleep(pause(0))
            except httpx.TransportError as error:
                if attempt >= self._retries:
                    raise lost(self._http, error) from error
                time.sleep(pause(attempt))
                attempt += 1

    def _get(self, place: str, params: dict[str, float] | None = None) -> Any:
        return self._send(lambda: self._http.get(place, params=params), repeatable=True).json()

    def _send(self, ask: Callable[[], httpx.Response], repeatable: bool) -> httpx.Response:
        for attempt in range(self._retries + 1):
            try:
                response = ask()
            except httpx.TransportError as error:
                if is_final(attempt, self._retries, error, repeatable):
                    raise lost(self._http, error) from error
                time.sleep(pause(attempt))
                continue
            if response.status_code not in TRANSIENT or attempt == self._retries:
                return checked(response)
            time.sleep(pause(attempt, response))
        raise AssertionError("the last attempt returns or raises")
