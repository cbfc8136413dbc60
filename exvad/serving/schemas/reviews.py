"""Requests and responses about reviews: what a person decided about the events of a video."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, model_validator

Decision = Literal["open", "confirmed", "rejected", "added"]

MAX_EVENTS = 1000
# A manifest can't store its own separators, line breaks, nor blanks at the ends of a class name.
_INNER, _OUTER = r'[^,;:"\x00-\x1f]', r'[^,;:"\x00-\x1f\s]'
EventLabel = Annotated[
    str, Field(min_length=1, max_length=100, pattern=f"^{_OUTER}({_INNER}*{_OUTER})?$")
]

# To a microsecond: a manifest has no exponents. JSON's true and false are no numbers.
Seconds = Annotated[float, Strict(), AfterValidator(lambda seconds: round(seconds, 6))]


class ReviewedEvent(BaseModel):
    """An event of a video, and what a person decided about it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    start: Seconds = Field(ge=0, description="seconds")
    end: Seconds = Field(gt=0, description="seconds, above the start")
    label: EventLabel = Field(
        description="class of the event; not the normal class, without commas, semicolons, colons "
        "and quotes"
    )
    decision: Decision = Field(
        description="open: nobody has decided yet; confirmed: it was detected, and is right as it "
        "stands here; rejected: there is no such event; added: it was not detected"
    )

    @model_validator(mode="after")
    def _require_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError("the end of an event must be above its start")
        return self

    @property
    def counts(self) -> bool:
        """Whether a person says that the event happens."""
        return self.decision in ("confirmed", "added")


class Review(BaseModel):
    """What a person decided about all events of a video."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"events": []},
                {"events": [{"start": 1, "end": 2, "label": "Arson", "decision": "confirmed"}]},
            ]
        },
    )

    events: list[ReviewedEvent] = Field(
        max_length=MAX_EVENTS,
        description="the detected events, corrected where they were wrong, and those that were "
        "missed; none if the video is normal",
    )

    @property
    def is_complete(self) -> bool:
        """Whether a person decided about every event."""
        return all(event.decision != "open" for event in self.events)

    @property
    def is_normal(self) -> bool:
        """Whether no event happens."""
        return not any(event.counts for event in self.events)


class ReviewSummary(BaseModel):
    """How many videos were reviewed, and where the labels are written."""

    model_config = ConfigDict(extra="forbid")

    manifest: str | None = Field(
        description="file name of the manifest that reviews are written to; null if the server "
        "writes none"
    )
    abnormal: int = Field(description="reviewed videos with events")
    normal: int = Field(description="reviewed videos without events")
    events: int = Field(description="events of the reviewed videos")
    begun: int = Field(description="videos of which some events are open")
    waiting: int = Field(description="videos that nobody has looked at")
    failed: int = Field(description="videos that could not be analyzed")
    next: str | None = Field(description="id of the oldest analysis that is to be reviewed")
    labels: list[str] = Field(description="classes of the events of reviews")
    text: str = Field(description="the same in words")
    advice: str = Field(
        description="classes of which there are too few videos for training; empty if there are "
        "none, or if no video is reviewed"
    )
