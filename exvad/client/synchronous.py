"""The client whose methods block."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, Unpack

import httpx2 as httpx

from exvad.client import protocol
from exvad.client.models import Job, ServerEvent, Stream, SubmitOptions, WatchOptions
from exvad.results import Analysis


class Client:
    """A client of a server. Use it as a context manager, or close it.

    Args:
        url: URL of the server.
        key: API key; None if the server requires none.
        retries: how often a request is sent again after a lost connection or a full queue.

    Raises:
        ValueError: the URL does not begin with http:// or https://.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", key: str | None = None, retries: int = 5
    ) -> None:
        self._http = httpx.Client(**protocol.client_options(url, key))
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
        self, video: str | Path, timeout: float = 3600, **options: Unpack[SubmitOptions]
    ) -> Analysis:
        """Submit a video and wait for the result.

        Args:
            video: path of a local file.
            timeout: longest time to wait, in seconds.
            options: see `SubmitOptions`.

        Raises:
            ServerError: the server refuses the video, or the analysis fails.
            TimeoutError: the analysis takes longer.
            ConnectionError: the server does not respond.
        """
        return self.wait(self.submit(video, **options).id, timeout).require_result()

    def submit(self, video: str | Path, **options: Unpack[SubmitOptions]) -> Job:
        """Submit a video and return its queued analysis.

        Args:
            video: path of a local file.
            options: see `SubmitOptions`.

        Raises:
            ServerError: the server refuses the video.
            ConnectionError: the server does not respond, or the connection broke during the upload.
        """
        path = Path(video)
        params = protocol.submission_params(path, **options)

        def post() -> httpx.Response:
            with path.open("rb") as file:
                parts = iter(lambda: file.read(protocol.CHUNK_BYTES), b"")
                return self._http.post(protocol.ANALYSES, params=params, content=parts)

        return Job.model_validate(self._send(post, repeatable=False).json())

    def get(self, analysis_id: str) -> Job:
        """Return the state of an analysis.

        Raises:
            ServerError: there is no such analysis.
        """
        return Job.model_validate(self._get(f"{protocol.ANALYSES}/{analysis_id}"))

    def wait(self, analysis_id: str, timeout: float = 3600) -> Job:
        """Wait until an analysis has ended.

        Args:
            analysis_id: id of the analysis.
            timeout: longest time to wait, in seconds.

        Raises:
            ServerError: there is no such analysis.
            TimeoutError: the analysis takes longer.
        """
        deadline = time.monotonic() + timeout
        while True:
            job = Job.model_validate(
                self._get(f"{protocol.ANALYSES}/{analysis_id}", protocol.long_poll_params(deadline))
            )
            if job.ended:
                return job
            if time.monotonic() > deadline:
                raise TimeoutError(f"{job.name}: {job.state} after {timeout:.0f} s")

    def follow(self, analysis_id: str) -> Iterator[ServerEvent]:
        """Yield the events of an analysis until it has ended, across lost connections."""
        return self._follow(
            f"{protocol.ANALYSES}/{analysis_id}", lambda: self.get(analysis_id).ended
        )

    def watch(
        self, url: str | None = None, path: str | None = None, **options: Unpack[WatchOptions]
    ) -> Stream:
        """Watch a live stream.

        Args:
            url: URL of the stream: rtsp, http or https.
            path: instead of a URL, the path of a growing file below the server's allowed root.
            options: see `WatchOptions`.

        Raises:
            ServerError: the server refuses the stream.
        """
        source = {"url": url} if path is None else {"path": path}

        def post() -> httpx.Response:
            return self._http.post(protocol.STREAMS, json={**source, **options})

        return Stream.model_validate(self._send(post, repeatable=False).json())

    def get_stream(self, stream_id: str) -> Stream:
        """Return the state of a live stream.

        Raises:
            ServerError: there is no such stream.
        """
        return Stream.model_validate(self._get(f"{protocol.STREAMS}/{stream_id}"))

    def follow_stream(self, stream_id: str) -> Iterator[ServerEvent]:
        """Yield the events of a live stream until it has ended, across lost connections."""
        return self._follow(
            f"{protocol.STREAMS}/{stream_id}", lambda: self.get_stream(stream_id).ended
        )

    def delete_stream(self, stream_id: str) -> None:
        """Stop watching a live stream, and delete it and its alerts.

        Raises:
            ServerError: there is no such stream.
        """
        self._send(lambda: self._http.delete(f"{protocol.STREAMS}/{stream_id}"), repeatable=True)

    def _follow(self, path: str, has_ended: Callable[[], bool]) -> Iterator[ServerEvent]:
        """Yield events, and connect again until the last one has arrived."""
        follower = protocol.Follower(self._http.base_url, self._retries)
        while True:
            try:
                with self._http.stream(
                    "GET", f"{path}/events", headers=follower.resume_headers()
                ) as response:
                    if not response.is_success:
                        response.read()
                    delay = follower.delay_after_response(response)
                    if delay is None:
                        for line in protocol.raise_for_problem(response).iter_lines():
                            if (event := follower.feed(line)) is not None:
                                yield event
                                if event.is_last:
                                    return
            except httpx.TransportError as error:
                time.sleep(follower.delay_after_error(error))
                continue
            if delay is None:  # the server closed the connection
                if has_ended():
                    return
                delay = protocol.RECONNECT_SECONDS
            time.sleep(delay)

    def _get(self, path: str, params: dict[str, float] | None = None) -> Any:
        return self._send(lambda: self._http.get(path, params=params), repeatable=True).json()

    def _send(self, request: Callable[[], httpx.Response], repeatable: bool) -> httpx.Response:
        """Send a request, again if that can help, and return the successful response."""
        retry = protocol.Retry(self._http.base_url, self._retries, repeatable)
        while True:
            try:
                response = request()
            except httpx.TransportError as error:
                time.sleep(retry.delay_after_error(error))
                continue
            delay = retry.delay_after_response(response)
            if delay is None:
                return protocol.raise_for_problem(response)
            time.sleep(delay)
