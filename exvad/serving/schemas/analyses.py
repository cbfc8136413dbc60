"""What the HTTP API takes and gives, version 1. Errors are problem+json (RFC 9457)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    model_validator,
)

from exvad.results import Analysis

State = Literal["queued", "running", "done", "failed"]
Triage = Literal["open", "reviewed", "false alarm"]


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half a letter (a lone surrogate) is no text") from None
    return text


ClassName = Annotated[str, Field(max_length=100), AfterValidator(_encodable)]
Phrase = Annotated[str, Field(max_length=300), AfterValidator(_encodable)]
Categories = dict[ClassName, Annotated[list[Phrase], Field(max_length=64)]]
ONE_SOURCE: JsonValue = [
    {"required": [name], "properties": {name: {"type": "string"}}} for name in ("path", "url")
]
CATEGORIES = TypeAdapter(Annotated[Categories, Field(max_length=32)])


class AnalysisOptions(BaseModel):
    """What may be asked for besides."""

    model_config = ConfigDict(extra="forbid")

    categories: Categories = Field({}, max_length=32, description="classes to look for besides")
    threshold: float | None = Field(
        None, ge=0, le=1, description="snippets above it are abnormal; absent: what was calibrated"
    )
    explain: bool = Field(True, description="false: no captions, no explanation, much faster")
    webhook: str | None = Field(
        None, max_length=2000, description="URL that is posted the analysis when it has ended"
    )


class SourceRequest(AnalysisOptions):
    """A video that the server reads itself: exactly one of `path` and `url`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"oneOf": ONE_SOURCE, "examples": [{"path": "cameras/entrance.mp4"}]},
    )

    path: str | None = Field(None, min_length=1, description="below the server's allowed root")
    url: str | None = Field(
        None, min_length=1, max_length=2000, description="http or https, on the public internet"
    )

    @model_validator(mode="after")
    def _one_source(self) -> SourceRequest:
        if (self.path is None) == (self.url is None):
            raise ValueError("give exactly one of path and url")
        return self


class SessionRequest(BaseModel):
    """The key of who signs in with a browser."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=1000, pattern=r"^[\x20-\x7e]+$")


class Session(BaseModel):
    """Whether a key is asked for, and what the one that was given allows."""

    model_config = ConfigDict(extra="forbid")

    needed: bool
    scope: Literal["read", "submit", "admin"] | None = None


class TriageRequest(BaseModel):
    """What a person made of an analysis."""

    model_config = ConfigDict(extra="forbid")

    triage: Triage


class AnalysisStatus(BaseModel):
    """Where an analysis stands."""

    model_config = ConfigDict(extra="forbid")

    id: str
    name: str = Field(description="file name of the video")
    state: State
    progress: float = Field(ge=0, le=1, description="share of the video that has been seen")
    created: float = Field(description="seconds since 1970")
    finished: float | None = None
    seconds: float | None = Field(None, description="how long the work took")
    timings: dict[str, float] | None = Field(None, description="seconds of each stage")
    anomaly_score: float | None = None
    label: str | None = Field(None, description="class of its events, or of the whole video")
    events: int | None = Field(None, description="how many events were found")
    triage: Triage = "open"
    error: str | None = Field(None, description="why it failed")
    result: Analysis | None = Field(None, description="the answer, once it is there")


class AnalysisList(BaseModel):
    """Analyses, newest first."""

    model_config = ConfigDict(extra="forbid")

    items: list[AnalysisStatus]
    total: int
    next_offset: int | None = None


class Health(BaseModel):
    """Whether the server works."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["ok"] = "ok"
    waiting: int = Field(description="analyses in the queue")


class ServedModel(BaseModel):
    """A replica that analyzes, and with what."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(description="name of the checkpoint's weights, as answers give it")
    checkpoint: str = Field(description="name of the folder it was loaded from")
    classes: list[str] = Field(description="what it was trained on, the normal class first")
    threshold: float = Field(description="snippets above it are abnormal")
    since: float = Field(description="seconds since 1970")
    problem: str | None = Field(None, description="why a newer version could not be taken")
    problem_since: float | None = Field(None, description="seconds since 1970")


class ModelList(BaseModel):
    """The replicas that analyze."""

    model_config = ConfigDict(extra="forbid")

    items: list[ServedModel]


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
