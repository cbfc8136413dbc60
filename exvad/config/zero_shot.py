"""Settings of detection without training, by a memory of scenes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from exvad.config.section import Section

Scene = Annotated[str, Field(min_length=1, max_length=300)]


class ZeroShotConfig(Section):
    """Detection without a checkpoint: frames are compared with a memory of described scenes."""

    memory: str = Field(
        "package:scenes", description="memory of scenes: a JSON file, its URI or package:scenes"
    )
    normal: list[Scene] = Field(
        [], description="further normal scenes of this camera, such as: people jog here"
    )
    look_for: dict[str, Annotated[list[Scene], Field(min_length=1)]] = Field(
        {}, description="further kinds of incident, each with scenes that describe it"
    )
    normal_prompt: str = Field(
        "a normal scene: {}", description="text around a normal scene; {} is the scene"
    )
    incident_prompt: str = Field(
        "an abnormal event: {}", description="text around an incident; {} is the scene"
    )
    top_k: int = Field(20, ge=1, description="nearest scenes that decide about a frame")
    penalty: float = Field(
        0.95, gt=0, le=1, description="factor of an incident's similarity, against false alarms"
    )
    temperature: float = Field(
        0.02, gt=0, description="of the softmax over similarities; CLIP's own is 0.01"
    )
    smoothing: float = Field(
        1.0, ge=0, description="standard deviation of the smoothing in snippets; 0 for none"
    )
    threshold: float = Field(0.5, ge=0, le=1, description="snippets that score above are abnormal")
    slope: float = Field(1.0, ge=0, description="of the confidence, over the score's log-odds")
    offset: float = Field(0.0, description="log-odds of the confidence at a score of 0.5")

    explain: bool = Field(
        False, description="caption and explain events with the captioner and the language model"
    )
    verify: bool = Field(
        False,
        description="let that explanation confirm or reject events and alerts; includes `explain`",
    )
    verify_seconds: float = Field(
        20, ge=0, description="longest delay of an alert by `verify`; then it rings unverified"
    )

    @property
    def uses_models(self) -> bool:
        """Whether the captioner and the language model look at events."""
        return self.explain or self.verify

    @field_validator("normal_prompt", "incident_prompt")
    @classmethod
    def _has_one_placeholder(cls, prompt: str) -> str:
        if prompt.count("{}") != 1:
            raise ValueError("write {} once, where the scene stands")
        return prompt
