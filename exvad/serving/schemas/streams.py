"""What the HTTP API takes and gives about live streams, version 1."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from exvad.results.live import LiveAlert
from exvad.serving.schemas.analyses import ONE_SOURCE, Categories, Triage

StreamState = Literal["waiting", "watching", "lost", "ended"]


class StreamOptions(BaseModel):
    """How a stream is watched, and when it alerts."""

    model_config = ConfigDict(extra="forbid")

    on: float | None = Field(
        None,
        ge=0,
        le=1,
        description="a score above it begins an alert; absent: from which abnormal is likelier",
    )
    off: float | None = Field(
        None, ge=0, le=1, description="a score below it ends one; absent: 0.7 times `on`"
    )
    least_seconds: float = Field(
        1, ge=0, le=3600, description="how long the score must stay above `on`"
    )
    cool_down_seconds: float = Field(
        10, ge=0, le=86400, description="how long after an alert no other one begins"
    )
    explain: bool = Field(True, description="false: no captions, no explanations")
    categories: Categories = Field({}, max_length=32, description="classes to look for besides")
    webhook: str | None = Field(
        None,
        max_length=2000,
        description="URL that is posted each alert as it begins, changes and ends",
    )

    @model_validator(mode="after")
    def _ordered(self) -> StreamOptions:
        if self.on is not None and self.off is not None and self.off > self.on:
            raise ValueError("off is larger than on")
        return self


class StreamSource(BaseModel):
    """Where the pictures come from: exactly one of `url` and `path`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"oneOf": ONE_SOURCE, "examples": [{"path": "cameras/entrance.ts"}]},
    )

    url: str | None = Field(None, min_length=1, max_length=2000, description="rtsp, http or https")
    path: str | None = Field(
        None, min_length=1, description="a growing file below the server's allowed root"
    )

    @model_validator(mode="after")
    def _one_source(self) -> StreamSource:
        if (self.path is None) == (self.url is None):
            raise ValueError("give exactly one of path and url")
        return self


class StreamRequest(StreamOptions, StreamSource):
    """A stream to watch."""

    name: str = Field("", max_length=200, description="how it is called; empty: by its source")


class AlertStatus(LiveAlert):
    """An alert of a stream."""

    began_at: float = Field(description="seconds since 1970")
    triage: Triage = "open"


class StreamStatus(BaseModel):
    """Where a stream stands."""

    model_config = ConfigDict(extra="forbid")

    id: str
    name: str
    state: StreamState
    created: float = Field(description="seconds since 1970")
    finished: float | None = None
    seconds: float | None = Field(None, description="of the newest score, since the stream began")
    delay: float | None = Field(None, description="seconds from a picture's arrival to its score")
    score: float | None = Field(None, description="newest anomaly score")
    dropped: int = Field(0, description="pictures left out to keep up with the stream")
    notice: str | None = Field(None, description="the latest about the source")
    threshold: float | None = Field(None, description="a score above it begins an alert")
    classes: list[str] = Field([], description="what is looked for, the normal class first")
    untrained: list[str] = Field([], description="classes that training never saw")
    unjudged: int = Field(0, description="alerts nobody has judged yet")
    alerts: list[AlertStatus] = Field(
        [], description="newest first; the last hundred, or the last three of each in a list"
    )


class StreamList(BaseModel):
    """Streams, newest first."""

    model_config = ConfigDict(extra="forbid")

    items: list[StreamStatus]
    total: int
