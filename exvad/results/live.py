"""Records of a live stream: scores, alerts and notices."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from exvad.results.analysis import Explanation


def _to_microseconds(seconds: float) -> float:
    return round(seconds, 6)


# Clocks give more digits than they know, such as 2.934e-06 for the beginning.
Seconds = Annotated[float, AfterValidator(_to_microseconds)]


class LiveScores(BaseModel):
    """Scores of new snippets of a stream."""

    model_config = ConfigDict(extra="forbid")

    times: list[Seconds] = Field(description="[t] seconds since the stream began")
    scores: list[float] = Field(description="[t] anomaly score of each snippet, 0 to 1")


class LiveAlert(BaseModel):
    """The state of an alert; emitted again whenever it changes."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1, description="1-based index among the alerts of the stream")
    state: Literal["began", "changed", "lasted", "explained", "ended", "placed"] = Field(
        description="why it was emitted; changed: another class, lasted: it still goes on, placed: "
        "after its end, with start, end and class as in a file of the last snippets"
    )
    start: Seconds = Field(description="seconds since the stream began")
    end: Seconds = Field(description="seconds since the stream began, so far")
    label: str = Field(description="class of the alert")
    peak: float = Field(ge=0, le=1, description="highest anomaly score")
    confidence: float | None = Field(
        None,
        ge=0,
        le=1,
        description="of the peak, as for events of a video; lower outside the checkpoint's domain",
    )
    domain: str = Field(
        "",
        description="in words, that the stream lies outside what the checkpoint was trained on; "
        "empty if it does not",
    )
    explanation: Explanation | None = Field(None, description="None until it is explained")
    captions: list[str] = Field([], description="captions behind the explanation, in time order")
    disagreement: str = Field(
        "", description="a sentence if the explanation contradicts the class of the alert"
    )


class LiveNotice(BaseModel):
    """A change in the state of the stream itself."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(
        description="connected, lost, dropped, ended, unexplained, rejected, domain or recording"
    )
    text: str = Field(description="what happened, in words")
    count: int = Field(0, description="number of dropped frames")
    alert: int = Field(0, description="number of the alert that was rejected; else 0")
    outside: bool = Field(
        False,
        description="of the kind domain: whether the stream lies outside what the checkpoint was "
        "trained on, or is back inside",
    )


Record = LiveScores | LiveAlert | LiveNotice
