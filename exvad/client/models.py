"""What the clients send and return: options, analyses, streams, events and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from pydantic import BaseModel, ConfigDict

from exvad.results import Analysis
from exvad.results.live import LiveAlert

JOB_ENDED = ("done", "failed")
STREAM_ENDED = ("ended",)

Categories = Mapping[str, Sequence[str]]


class SubmitOptions(TypedDict, total=False):
    """Options of an analysis.

    Args:
        categories: additional classes, class name → phrases that describe it.
        normal: further normal scenes of the camera, such as "people jog here"; for detection
            without training only.
        threshold: snippets with a higher score are abnormal, 0 to 1; None for the calibrated
            threshold, which is the default.
        explain: False for no captions and no explanation, which is much faster.
        webhook: URL that receives the analysis once it has ended.
    """

    categories: Categories | None
    normal: Sequence[str]
    threshold: float | None
    explain: bool
    webhook: str | None


class WatchOptions(TypedDict, total=False):
    """Options of a live stream.

    Args:
        name: displayed name; without it, a name made from the source.
        on: an alert begins above this score, 0 to 1; without it, where abnormal is more likely
            than normal.
        off: an alert ends below this score; without it, 0.7 times `on`.
        least_seconds: an alert begins after the score was above `on` for so long.
        cool_down_seconds: no alert begins for so long after the last one ended.
        explain: False for no captions and no explanations.
        keep_hours: the recording is kept for so long, so that an alert has its clip; 0 for none;
            without it, what the server's settings say.
        categories: additional classes, class name → phrases that describe it.
        normal: further normal scenes of the camera; for detection without training only.
        webhook: URL that receives each alert when it begins, changes and ends.
    """

    name: str
    on: float | None
    off: float | None
    least_seconds: float
    cool_down_seconds: float
    explain: bool
    keep_hours: float | None
    categories: Categories
    normal: Sequence[str]
    webhook: str | None


class ServerError(ValueError):
    """The server refused a request, or an analysis failed.

    Attributes:
        status: the HTTP status; 200 if the analysis failed.
    """

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        super().__init__(detail)


class Job(BaseModel):
    """The state of a submitted analysis.

    Args:
        id: id of the analysis.
        name: file name of the video.
        state: queued, running, done or failed.
        progress: share of the video that has been processed, 0 to 1.
        error: why the analysis failed.
        result: the result of an analysis that is done.
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
        """Whether the analysis is done or has failed."""
        return self.state in JOB_ENDED

    def require_result(self) -> Analysis:
        """Return the result.

        Raises:
            ServerError: the analysis failed, or has not ended yet.
        """
        if self.result is None:
            reason = self.error or f"is still {self.state}"
            raise ServerError(200, reason if self.name in reason else f"{self.name}: {reason}")
        return self.result


class StreamAlert(LiveAlert):
    """An alert of a live stream.

    Args:
        began_at: when the frame at its start arrived, in seconds since 1970.
        triage: what a person decided about it: open, reviewed or false alarm.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    began_at: float
    triage: str


class Stream(BaseModel):
    """The state of a live stream.

    Args:
        id: id of the stream.
        name: displayed name.
        state: waiting, watching, lost or ended.
        seconds: time of the newest score, in seconds since the stream began.
        score: newest anomaly score, 0 to 1.
        notice: newest message about the source.
        domain: in words, that it lies outside what the checkpoint was trained on; else empty.
        alerts: alerts, newest first.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    name: str
    state: Literal["waiting", "watching", "lost", "ended"]
    seconds: float | None = None
    score: float | None = None
    notice: str | None = None
    domain: str = ""
    alerts: list[StreamAlert] = []

    @property
    def ended(self) -> bool:
        """Whether the stream is not watched any more."""
        return self.state in STREAM_ENDED


@dataclass(frozen=True)
class ServerEvent:
    """An event of an analysis or a stream.

    Args:
        kind: of an analysis `progress`, `first_scores`, `writing`, `scores`, `events`,
            `explanation`, `done` or `failed`; of a stream `scores`, `alert`, `notice` or `ended`.
        data: content of the event.
    """

    kind: str
    data: dict[str, Any]

    @property
    def is_last(self) -> bool:
        """Whether no event follows."""
        return self.kind in JOB_ENDED + STREAM_ENDED
