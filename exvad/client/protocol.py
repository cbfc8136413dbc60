"""The protocol that both clients share: parameters, retries, events and errors."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx

from exvad.client.models import Categories, ServerError, ServerEvent

ANALYSES = "/v1/analyses"
STREAMS = "/v1/streams"
CHUNK_BYTES = 2**20
RECONNECT_SECONDS = 0.5
_TRANSIENT_STATUSES = (429, 502, 503, 504)
FIRST_DELAY_SECONDS = 0.5
_LONG_POLL_SECONDS = 20.0  # proxies close connections on which nothing is sent for longer


def client_options(url: str, key: str | None) -> dict[str, Any]:
    """Return the options of an HTTP client.

    Args:
        url: URL of the server.
        key: API key; None if the server requires none.

    Raises:
        ValueError: the URL does not begin with http:// or https://.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r}: begin the server's URL with http:// or https://")
    return {
        "base_url": url,
        "headers": {"Authorization": f"Bearer {key}"} if key else {},
        "timeout": httpx.Timeout(30, read=60),
        # Servers close idle connections after five seconds or more. A connection that the client
        # closes earlier is never used at the moment when the server closes it.
        "limits": httpx.Limits(keepalive_expiry=3),
    }


def submission_params(
    video: Path,
    categories: Categories | None = None,
    threshold: float | None = None,
    explain: bool = True,
    webhook: str | None = None,
    normal: Sequence[str] = (),
) -> dict[str, str | list[str]]:
    """Return the query parameters of a submission, without those that have the default value.

    Args:
        video: the file that is submitted.
        categories: see `SubmitOptions`, also for the others.
        threshold: the threshold.
        explain: whether to explain.
        webhook: URL of a webhook.
        normal: further normal scenes.

    Raises:
        ValueError: `normal` is a text instead of a list of them.
    """
    params: dict[str, str | list[str]] = {"name": video.name}
    if categories:
        phrases = {name: list(category) for name, category in categories.items()}
        params["categories"] = json.dumps(phrases)
    if isinstance(normal, str):  # each letter would be a scene
        raise ValueError(f"normal: write a list of scenes, [{normal!r}]")
    if normal:
        params["normal"] = list(normal)
    if threshold is not None:
        params["threshold"] = str(threshold)
    if not explain:
        params["explain"] = "false"
    if webhook is not None:
        params["webhook"] = webhook
    return params


def long_poll_params(deadline: float) -> dict[str, float]:
    """Return query parameters that let the server hold its response until an analysis has ended.

    Args:
        deadline: latest time of the response, on the clock `time.monotonic`.
    """
    remaining = max(deadline - time.monotonic(), 0.0)
    return {"wait": round(min(remaining, _LONG_POLL_SECONDS), 3)}


def raise_for_problem(response: httpx.Response) -> httpx.Response:
    """Return a successful response.

    Raises:
        ServerError: the response is an error.
    """
    if response.is_success:
        return response
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"{response.status_code} {response.reason_phrase}"
    raise ServerError(response.status_code, detail)


class Retry:
    """Decides after each attempt of a request whether and when to send it again.

    Args:
        url: URL of the server, for the error message.
        max_retries: largest number of attempts after the first one.
        repeatable: whether the server may receive the request twice. Otherwise a broken connection
            is final, because the server may have received the request.
    """

    def __init__(self, url: httpx.URL, max_retries: int, repeatable: bool = True) -> None:
        self._url = url
        self._max_retries = max_retries
        self._repeatable = repeatable
        self._num_failures = 0

    def delay_after_response(self, response: httpx.Response) -> float | None:
        """Return the seconds until the next attempt, or None if the response is final."""
        if response.status_code not in _TRANSIENT_STATUSES or self._is_exhausted():
            return None
        retry_after = response.headers.get("retry-after", "")
        delay = float(retry_after) if retry_after.isdigit() else self._backoff()
        self._num_failures += 1
        return delay

    def delay_after_error(self, error: httpx.TransportError) -> float:
        """Return the seconds until the next attempt.

        Raises:
            ConnectionError: there is no further attempt.
        """
        was_sent = not isinstance(error, httpx.ConnectError)
        if self._is_exhausted() or (was_sent and not self._repeatable):
            reason = str(error) or type(error).__name__
            raise ConnectionError(f"{self._url}: no response ({reason})") from error
        delay = self._backoff()
        self._num_failures += 1
        return delay

    def reset(self) -> None:
        """Begin to count the failures anew, after a success."""
        self._num_failures = 0

    def _is_exhausted(self) -> bool:
        return self._num_failures >= self._max_retries

    def _backoff(self) -> float:
        """Return a delay that doubles with every failure."""
        return float(FIRST_DELAY_SECONDS * 2**self._num_failures)


@dataclass
class EventReader:
    """Assembles server-sent events from lines, over any number of connections."""

    _last_id: str = ""
    _id: str = ""
    _kind: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, line: str) -> ServerEvent | None:
        """Return the event that a line completes, or None."""
        name, _, value = line.partition(": ")
        if name == "id":
            self._id = value
        elif name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        elif not line and self._kind:
            event = ServerEvent(self._kind, json.loads("\n".join(self._data) or "{}"))
            self._last_id = self._id or self._last_id
            self._clear()
            return event
        return None

    def resume_headers(self) -> dict[str, str]:
        """Return the headers of a new connection, which begins after the last complete event."""
        self._clear()
        return {"Last-Event-ID": self._last_id} if self._last_id else {}

    def _clear(self) -> None:
        """Discard an incomplete event; the server sends it again."""
        self._id, self._kind, self._data = "", "", []


class Follower(Retry):
    """The state of following an analysis or a stream over any number of connections.

    Args:
        url: URL of the server, for the error message.
        max_retries: largest number of attempts to connect between two events.
    """

    def __init__(self, url: httpx.URL, max_retries: int) -> None:
        super().__init__(url, max_retries)
        self._reader = EventReader()

    def resume_headers(self) -> dict[str, str]:
        """Return the headers of the next connection."""
        return self._reader.resume_headers()

    def feed(self, line: str) -> ServerEvent | None:
        """Return the event that a line completes, or None."""
        event = self._reader.feed(line)
        if event is not None:
            self.reset()
        return event
