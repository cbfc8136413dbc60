"""What the detector says about one video: the record that all who answer share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Explanation(BaseModel):
    """The explanation E of a video (paper, equation 3) as a validated record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    anomalous: bool = Field(description="whether the language model sees anything abnormal")
    category: str = Field(description="the class it names; the normal class if nothing is abnormal")
    summary: str = Field(min_length=1, description="one sentence: what the video shows")
    reason: str = Field(min_length=1, description="one sentence: why that is (not) abnormal")
    evidence: list[int] = Field(description="1-based numbers of the captions it rests on")

    @property
    def text(self) -> str:
        """The text that is encoded as F_T: summary and reason."""
        return f"{self.summary} {self.reason}"


class Caption(BaseModel):
    """One captioned frame of a video."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time: float = Field(ge=0, description="seconds from the start of the video")
    raw: str = Field(description="what the captioner wrote about this frame, T_i")
    text: str = Field(description="the cleaned caption of this frame, equation 2")


class DetectedEvent(BaseModel):
    """A stretch of the video that the detector calls abnormal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: float = Field(ge=0, description="seconds")
    end: float = Field(ge=0, description="seconds")
    label: str
    score: float = Field(ge=0, le=1, description="mean anomaly score inside the event")
    confidence: float = Field(
        ge=0, le=1, description="how often a validation video of this score was abnormal"
    )
    captions: list[int] = Field(description="1-based numbers of the captions inside the event")


class Analysis(BaseModel):
    """Everything the system says about one video: when, what kind, and why."""

    model_config = ConfigDict(extra="forbid")

    video: str = Field(description="file name or identifier, never a full path")
    duration: float = Field(ge=0, description="seconds")
    num_frames: int = Field(ge=1)
    fps: float = Field(gt=0)
    classes: list[str] = Field(description="class names, the normal one first")
    label: str = Field(
        description="most likely class of its events; without any, of the whole video"
    )
    anomaly_score: float = Field(ge=0, le=1, description="video-level score")
    threshold: float = Field(ge=0, le=1, description="snippets above it are abnormal")
    times: list[float] = Field(description="[T] seconds of each snippet")
    scores: list[float] = Field(description="[T] coarse anomaly score of each snippet, 0 to 1")
    probabilities: list[list[float]] = Field(description="[T][C] class probabilities per snippet")
    events: list[DetectedEvent]
    explanation: Explanation | None = Field(description="None where explaining was switched off")
    captions: list[Caption]
    untrained: list[str] = Field(
        default=[], description="classes added for this answer, which training never saw"
    )
    problems: list[str] = Field(default=[], description="what could not be read or was skipped")
    model: str = Field(description="which checkpoint answered")
