"""The analysis of one video: scores, events, captions and the explanation."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SCENE_CAPTION = "resembles: {}"  # without training, in place of a caption


class Explanation(BaseModel):
    """The explanation E of a video (paper, equation 3) as a validated record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    anomalous: bool = Field(description="whether the language model finds anything abnormal")
    category: str = Field(description="class of the video; the normal class if nothing is abnormal")
    summary: str = Field(
        min_length=1,
        description="what the video shows: one sentence, or one per segment of a long video",
    )
    reason: str = Field(min_length=1, description="why that is (not) abnormal, likewise")
    evidence: list[int] = Field(description="1-based indices of the captions cited as evidence")

    @property
    def text(self) -> str:
        """The text that is encoded as F_T: summary and reason."""
        return f"{self.summary} {self.reason}"


class Caption(BaseModel):
    """One captioned frame of a video."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time: float = Field(ge=0, description="seconds from the start of the video")
    raw: str = Field(description="caption of this frame as the captioner wrote it, T_i")
    text: str = Field(description="cleaned caption of this frame, equation 2")

    @property
    def is_scene(self) -> bool:
        """Whether it is a scene of the memory that the frame resembles, not a caption."""
        return self.text == SCENE_CAPTION.format(self.raw)


class DetectedEvent(BaseModel):
    """An interval of the video that the detector classifies as abnormal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: float = Field(ge=0, description="seconds")
    end: float = Field(ge=0, description="seconds")
    label: str = Field(description="class of the event")
    score: float = Field(ge=0, le=1, description="mean anomaly score inside the event")
    confidence: float = Field(
        ge=0,
        le=1,
        description="share of the validation videos of this score that are abnormal; lower outside "
        "the checkpoint's domain",
    )
    captions: list[int] = Field(description="1-based indices of the captions inside the event")


class DomainCheck(BaseModel):
    """Whether images are of the kind that the checkpoint was trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Literal["inside", "outside", "unknown"] = Field(
        description="unknown: the checkpoint keeps no statistics of its training features"
    )
    distance: float | None = Field(
        None,
        ge=0,
        description="of the image features from those of training, in multiples of the limit: "
        "above 1 is outside; None if it is unknown",
    )
    confidence_weight: float = Field(
        1.0, ge=0, le=1, description="confidences were multiplied by it: 1 / distance² outside"
    )
    text: str = Field(description="the same in words")


class Analysis(BaseModel):
    """The analysis of one video: when something abnormal happens, what kind, and why."""

    model_config = ConfigDict(extra="forbid")

    video: str = Field(description="file name or identifier, never a full path")
    domain: DomainCheck | None = Field(
        None, description="whether the video is of the kind that the checkpoint was trained on"
    )
    duration: float = Field(ge=0, description="seconds")
    lead: float = Field(
        0.0,
        ge=0,
        description="seconds that players show before the first frame, such as sound that begins "
        "earlier; add them to a time to seek to it",
    )
    num_frames: int = Field(ge=1, description="frames of the video")
    fps: float = Field(gt=0, description="frames per second")
    classes: list[str] = Field(description="class names, the normal class first")
    label: str = Field(
        description="most likely class of the events; without events, of the whole video"
    )
    anomaly_score: float = Field(ge=0, le=1, description="video-level anomaly score")
    threshold: float = Field(ge=0, le=1, description="snippets that score above it are abnormal")
    times: list[float] = Field(description="[T] seconds of each snippet")
    scores: list[float] = Field(description="[T] coarse anomaly score of each snippet, 0 to 1")
    probabilities: list[list[float]] = Field(description="[T][C] class probabilities per snippet")
    events: list[DetectedEvent] = Field(description="abnormal intervals, in order of time")
    explanation: Explanation | None = Field(
        description="of a video explained in segments, that of the strongest event's segment; None "
        "if explaining is switched off"
    )
    captions: list[Caption] = Field(description="captioned frames, in order of time")
    disagreement: str = Field(
        default="",
        description="a sentence if the explanation contradicts the events, or the class of the "
        "whole video the lack of any; empty if they agree",
    )
    untrained: list[str] = Field(
        default=[], description="classes added to this request that the network is not trained on"
    )
    problems: list[str] = Field(default=[], description="what could not be read or was skipped")
    model: str = Field(description="the checkpoint")

    @property
    def domain_notice(self) -> str:
        """What is said in words of a video outside the checkpoint's domain; empty inside."""
        return self.domain.text if self.domain and self.domain.state == "outside" else ""
