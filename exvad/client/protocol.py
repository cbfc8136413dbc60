"""What both clients share: what the server says, how long to wait, what is tried again."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx2 as httpx
from pydantic import BaseModel, ConfigDict

from exvad.results import Analysis
from exvad.results.live import LiveAlert

TRANSIENT = (429, 502, 503, 504)
LONG_POLL = 20.0
JOB_ENDED = ("done", "failed")
STREAM_ENDED = ("ended",)
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

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.state in JOB_ENDED

    def answer(self) -> Analysis:
        """Return the result.

        Raises:
            ServerError: the analysis failed.
        """
        if self.result is None:
            said = self.error or f"is still {self.state}"
            raise ServerError(200, said if self.name in said else f"{self.name}: {said}")
        return self.result


class StreamAlert(LiveAlert):
    """An alert of a live stream.

    Args:
        began_at: seconds since 1970.
        triage: what a person made of it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    began_at: float
    triage: str


class Stream(BaseModel):
    """Where a live stream stands.

    Args:
        id: names it to the server.
        name: how it is called.
        state: waiting, watching, lost or ended.
        seconds: of the newest score, since the stream began.
        score: the newest anomaly score.
        notice: the latest about the source.
        alerts: newest first.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    name: str
    state: Literal["waiting", "watching", "lost", "ended"]
    seconds: float | None = None
    score: float | None = None
    notice: str | None = None
    alerts: list[StreamAlert] = []

    @property
    def ended(self) -> bool:
        """Whether nobody watches it any more."""
        return self.state in STREAM_ENDED


@dataclass(frozen=True)
class ServerEvent:
    """One event: of an analysis `progress`, `first_scores`, `writing`, `scores`, `events`,
    `explanation`, `done` or `failed`; of a stream `scores`, `alert`, `notice` or `ended`.
    """

    kind: str
    data: dict[str, Any]

    @property
    def last(self) -> bool:
        """Whether nothing follows it."""
        return self.kind in JOB_ENDED + STREAM_ENDED


@dataclass
class EventReader:
    """Puts lines of server-sent events together; knows where to go on."""

    last: str = ""
    _id: str = ""
    _kind: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, line: str) -> ServerEvent | None:
        """Take a line; return the event it ends."""
        name, _, value = line.partition(": ")
        if name == "id":
            self._id = value
        elif name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        elif not line and self._kind:
            told = ServerEvent(self._kind, json.loads("\n".join(self._data) or "{}"))
            self.last = self._id or self.last
            self._forget()
            return told
        return None

    def _forget(self) -> None:
        self._id, self._kind, self._data = "", "", []

    def headers(self) -> dict[str, str]:
        """Return what a new connection must say to go on; half an event comes again whole."""
        self._forget()
        return {"Last-Event-ID": self.last} if self.last else {}


def pause(attempt: int, response: httpx.Response | None = None) -> float:
    """Return how long to wait before another attempt: what the server says, or twice as long."""
    wanted = "" if response is None else response.headers.get("retry-after", "")
    return float(wanted) if wanted.isdigit() else 0.5 * 2**attempt


def checked(response: httpx.Response) -> httpx.Response:
    """Return an answer that says yes.

    Raises:
        ServerError: it says no.
    """
    if response.is_success:
        return response
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"{response.status_code} {response.reason_phrase}"
    raise ServerError(response.status_code, detail)


def is_final(attempt: int, retries: int, error: httpx.TransportError, repeatable: bool) -> bool:
    """Whether to give up: what may have arrived is sent again only if that does no harm."""
    return attempt >= retries or not (repeatable or isinstance(error, httpx.ConnectError))


def lost(http: httpx.Client | httpx.AsyncClient, error: httpx.TransportError) -> ConnectionError:
    """Return the error of a server that does not answer."""
    return ConnectionError(f"{http.base_url}: no answer ({str(error) or type(error).__name__})")


def settings(url: str, key: str | None) -> dict[str, Any]:
    """Return how an HTTP client is made.

    Raises:
        ValueError: the URL is none.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r}: begin the server's URL with http:// or https://")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return {
        "base_url": url,
        "headers": headers,
        "timeout": httpx.Timeout(30, read=60),
        # Servers close idle connections after five seconds or more: never use one just then.
        "limits": httpx.Limits(keepalive_expiry=3),
    }


def long_poll(until: float) -> dict[str, float]:
    """Ask the server to hold its answer, but less long than a proxy between may allow."""
    return {"wait": round(min(max(until - time.monotonic(), 0.0), LONG_POLL), 3)}


def submission(
    video: Path,
    categories: Categories | None,
    threshold: float | None,
    explain: bool,
    webhook: str | None,
) -> dict[str, str]:
    """Return the query of a submission; what is left to the server is left out."""
    params = {"name": video.name}
    if threshold is not None:
        params["threshold"] = str(threshold)
    if categories:
        params["categories"] = json.dumps({name: list(own) for name, own in categories.items()})
    if not explain:
        params["explain"] = "false"
    if webhook is not None:
        params["webhook"] = webhook
    return params
