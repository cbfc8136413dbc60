"""Requests and responses about live streams."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from exvad.results.live import LiveAlert
from exvad.serving.schemas.analyses import Triage
from exvad.serving.schemas.categories import (
    CATEGORIES_NAMES,
    Categories,
    NormalScenes,
    refuse_two_names,
)
from exvad.serving.schemas.sources import ONE_SOURCE, PathOrUrl

StreamState = Literal["waiting", "watching", "lost", "ended"]


class StreamOptions(BaseModel):
    """How a stream is watched, and when an alert begins and ends."""

    model_config = ConfigDict(extra="forbid")

    on: float | None = Field(
        None,
        ge=0,
        le=1,
        description="an alert begins above this score; "
        "without it, where abnormal is more likely than normal",
    )
    off: float | None = Field(
        None, ge=0, le=1, description="an alert ends below this score; without it, 0.7 times `on`"
    )
    least_seconds: float = Field(
        1, ge=0, le=3600, description="an alert begins after the score was above `on` for so long"
    )
    cool_down_seconds: float = Field(
        10, ge=0, le=86400, description="no alert begins for so long after the last one ended"
    )
    explain: bool = Field(True, description="false: no captions and no explanations")
    keep_hours: float | None = Field(
        None,
        ge=0,
        le=24 * 366,
        description="the recording is kept for so long, so that an alert has its clip; 0 records "
        "nothing; without it, what the server's setting `keep_hours` says",
    )
    categories: Categories = Field({}, validation_alias=CATEGORIES_NAMES)
    normal: NormalScenes = []
    webhook: str | None = Field(
        None,
        max_length=2000,
        description="URL that receives each alert when it begins, changes and ends",
    )

    _one_name = model_validator(mode="before")(refuse_two_names)

    @model_validator(mode="after")
    def _require_hysteresis(self) -> Self:
        if self.on is not None and self.off is not None and self.off > self.on:
            raise ValueError("off is larger than on")
        return self


class StreamSource(PathOrUrl):
    """The source of a stream."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"oneOf": ONE_SOURCE, "examples": [{"path": "cameras/entrance.ts"}]},
    )

    url: str | None = Field(None, min_length=1, max_length=2000, description="rtsp, http or https")
    path: str | None = Field(
        None, min_length=1, description="path of a growing file below the server's allowed root"
    )


class StreamRequest(StreamOptions, StreamSource):
    """A stream to watch."""

    name: str = Field(
        "", max_length=200, description="displayed name; empty for a name made from the source"
    )


class AlertStatus(LiveAlert):
    """The state of an alert."""

    began_at: float = Field(
        description="when the frame at its start arrived, in seconds since 1970"
    )
    triage: Triage = "open"


class StreamStatus(BaseModel):
    """The state of a stream."""

    model_config = ConfigDict(extra="forbid")

    id: str
    name: str
    state: StreamState
    created: float = Field(description="when it was submitted, in seconds since 1970")
    finished: float | None = Field(None, description="when it ended, in seconds since 1970")
    seconds: float | None = Field(
        None, description="time of the newest score, in seconds since the stream began"
    )
    scored_at: float | None = Field(
        None, description="when the frame of the newest score arrived, in seconds since 1970"
    )
    delay: float | None = Field(None, description="seconds from a frame's arrival to its score")
    score: float | None = Field(None, description="newest anomaly score")
    dropped: int = Field(0, description="frames that were dropped to keep up with the stream")
    notice: str | None = Field(None, description="newest message about the source")
    domain: str = Field(
        "",
        description="in words, that the stream lies outside what the checkpoint was trained on; "
        "empty if it does not",
    )
    threshold: float | None = Field(None, description="an alert begins above this score")
    classes: list[str] = Field([], description="classes to detect, the normal class first")
    untrained: list[str] = Field([], description="classes that the training did not include")
    untriaged: int = Field(0, description="number of alerts whose triage is open")
    num_alerts: int = Field(0, description="number of its alerts, also of those not listed here")
    keep_hours: float = Field(0, description="its recording is kept for so long; 0: none is made")
    alerts: list[AlertStatus] = Field(
        [], description="newest first: at most 100 of one stream, at most 3 of each in a list"
    )


class StreamList(BaseModel):
    """A page of streams, newest first."""

    model_config = ConfigDict(extra="forbid")

    items: list[StreamStatus]
    total: int
