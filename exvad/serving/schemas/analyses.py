"""Requests and responses about analyses of videos."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from exvad.results import Analysis
from exvad.serving.schemas.categories import (
    CATEGORIES_NAMES,
    EXAMPLE,
    TWO_NAMES,
    Categories,
    NormalScenes,
    parse_categories,
    refuse_two_names,
)
from exvad.serving.schemas.reviews import Review
from exvad.serving.schemas.sources import ONE_SOURCE, PathOrUrl

AnalysisState = Literal["queued", "running", "done", "failed"]
Triage = Literal["open", "reviewed", "false alarm"]

MAX_WAIT_SECONDS = 600


class CommonOptions(BaseModel):
    """Options that a request gives in its query or in its JSON body."""

    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="snippets with a higher score are abnormal; "
        "without it, the calibrated threshold",
    )
    explain: bool = Field(
        True, description="false: no captions and no explanation, which is much faster"
    )
    webhook: str | None = Field(
        None, max_length=2000, description="URL that receives the analysis once it has ended"
    )


class AnalysisOptions(CommonOptions):
    """How a video is analyzed."""

    model_config = ConfigDict(extra="forbid")

    categories: Categories = Field({}, validation_alias=CATEGORIES_NAMES)
    normal: NormalScenes = []

    _one_name = model_validator(mode="before")(refuse_two_names)


class AnalysisQuery(CommonOptions):
    """Query parameters of a request that submits a video."""

    wait: float = Field(
        0, ge=0, le=MAX_WAIT_SECONDS, description="longest time to wait for the result, in seconds"
    )
    name: str = Field(
        "video", max_length=200, description="file name of a video that is sent as the body"
    )
    categories: str = Field(
        "{}",
        max_length=20_000,
        description="additional classes, with phrases for each, as JSON: "
        f"{EXAMPLE}; a URL may have 64 KiB at most",
    )
    look_for: str = Field("{}", max_length=20_000, description="another name of `categories`")
    normal: NormalScenes = Field(
        [],
        description="a further normal scene of this camera, such as: people jog here; the "
        "parameter may be repeated; for detection without training only",
    )

    def options(self) -> AnalysisOptions:
        """Return the options of the analysis.

        Raises:
            ValueError: the categories are not a JSON object of lists of phrases, or have both
                names.
        """
        given = self.model_fields_set & {"categories", "look_for"}
        if len(given) == 2:
            raise ValueError(TWO_NAMES)
        text = self.look_for if "look_for" in given else self.categories
        return AnalysisOptions(
            categories=parse_categories(text),
            normal=self.normal,
            threshold=self.threshold,
            explain=self.explain,
            webhook=self.webhook,
        )


class AnalysisRequest(AnalysisOptions, PathOrUrl):
    """A video that the server reads itself, and how to analyze it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"oneOf": ONE_SOURCE, "examples": [{"path": "cameras/entrance.mp4"}]},
    )

    path: str | None = Field(
        None, min_length=1, description="path of a file below the server's allowed root"
    )
    url: str | None = Field(
        None, min_length=1, max_length=2000, description="http or https, on the public internet"
    )


class TriageRequest(BaseModel):
    """What a person decided about an analysis or an alert."""

    model_config = ConfigDict(extra="forbid")

    triage: Triage


class AnalysisStatus(BaseModel):
    """The state of an analysis."""

    model_config = ConfigDict(extra="forbid")

    id: str
    name: str = Field(description="file name of the video")
    state: AnalysisState
    progress: float = Field(ge=0, le=1, description="share of the video that has been processed")
    created: float = Field(description="when it was submitted, in seconds since 1970")
    finished: float | None = Field(None, description="when it ended, in seconds since 1970")
    seconds: float | None = Field(None, description="duration of the work")
    timings: dict[str, float] | None = Field(None, description="seconds of each stage")
    anomaly_score: float | None = None
    label: str | None = Field(None, description="class of its events, or of the whole video")
    events: int | None = Field(None, description="number of events in the result")
    domain: str = Field(
        "",
        description="in words, that the video lies outside what the checkpoint was trained on; "
        "empty if it does not",
    )
    triage: Triage = "open"
    error: str | None = Field(None, description="why the analysis failed")
    result: Analysis | None = Field(None, description="the result of an analysis that is done")
    review: Review | None = Field(
        None, description="what a person decided about its events; given with the result"
    )


class AnalysisList(BaseModel):
    """A page of analyses, newest first."""

    model_config = ConfigDict(extra="forbid")

    items: list[AnalysisStatus]
    total: int
    next_offset: int | None = None
    free: int = Field(0, description="how many more analyses the server accepts now")
