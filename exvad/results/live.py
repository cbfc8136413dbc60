"""What there is to say of a live stream: scores, alerts, notices."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from exvad.results.analysis import Explanation


class LiveScores(BaseModel):
    """New scores of a stream."""

    model_config = ConfigDict(extra="forbid")

    times: list[float] = Field(description="[t] seconds since the stream began")
    scores: list[float] = Field(description="[t] anomaly score of each snippet, 0 to 1")


class LiveAlert(BaseModel):
    """An alert, each time there is something new about it."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1, description="of the stream's alerts")
    state: Literal["began", "changed", "lasted", "explained", "ended"] = Field(
        description="what is new: its class has changed, or it has merely gone on for a while"
    )
    start: float = Field(description="seconds since the stream began")
    end: float = Field(description="seconds, so far")
    label: str
    peak: float = Field(ge=0, le=1, description="highest score")
    explanation: Explanation | None = None
    captions: list[str] = Field([], description="what the explanation rests on, in order of time")


class LiveNotice(BaseModel):
    """Something about the stream itself."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(description="connected, lost, dropped, ended, or unexplained")
    text: str
    count: int = Field(0, description="pictures that were dropped")


Record = LiveScores | LiveAlert | LiveNotice
