"""Which system of `exvad.baselines` a checkpoint holds, how it is built, and what it can't answer.

C classes · D feature width
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from exvad.baselines import SYSTEMS, Baseline, Inputs, build_baseline, with_class_map
from exvad.baselines.catalogue import title_of
from exvad.baselines.clip_text import ClipText, Prompts, prompts_from_tokens
from exvad.encoders.loading import load_clip
from exvad.laam.phrases import readable_label

if TYPE_CHECKING:
    import torch

    from exvad.config import Config

Way: TypeAlias = Literal["F0", "F1", "F2", "F3", "coarse"]
"""A way to a class map, or `coarse` for scores without classes."""

COARSE_CLASS = "Abnormal"
WAYS: dict[Way, str] = {
    "F0": "the system's own classes",
    "F1": "a class head trained with the system (F1), which is not part of it as published",
    "F2": "a class head on the frozen system (F2), which is not part of it as published",
    "F3": "CLIP's cosines with the labels (F3), which are not part of the system",
    "coarse": "no classes",
}


class SavedSystem(BaseModel):
    """A system and its way to a class map, as provenance.json records it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="key of the catalogue")
    way: Way = Field(description="way to the class map; coarse for none")
    text_width: int = Field(0, ge=0, description="width of its text features; 0 without")
    visual_width: int = Field(
        0, ge=0, description="width of the image features of a crop; 0 for that of the labels"
    )
    crops: int = Field(1, ge=1, description="crops of a frame that it takes side by side")
    kind: str = Field("", description="kind of data set for which it is built as published")
    options: dict[str, Any] = Field({}, description="its named options that were set")

    @property
    def title(self) -> str:
        """The name in tables, with the options."""
        return title_of(self.name, self.options)

    @property
    def coarse(self) -> bool:
        """Whether it says when something is abnormal, and not of which class."""
        return self.way == "coarse"

    def build(self, config: Config, label_CD: torch.Tensor, classes: Sequence[str]) -> Baseline:
        """Build the untrained system with its class map.

        Args:
            config: names CLIP, for systems that need its text encoder.
            label_CD: label embeddings, the normal class first.
            classes: the class names.

        Raises:
            ValueError: there is no such system, or it needs what is not there.
        """
        return self.with_map(self.build_native(config, label_CD, classes), label_CD)

    def build_native(
        self, config: Config, label_CD: torch.Tensor, classes: Sequence[str]
    ) -> Baseline:
        """Build the untrained system without an added class map; see `build`."""
        width = self.visual_width or label_CD.shape[1]
        text: tuple[ClipText, Prompts] | None = None
        if self.name in SYSTEMS and SYSTEMS[self.name].clip_text:
            text = clip_text(config, width, classes)
        encoder, prompts = text or (None, None)
        inputs = Inputs(
            width, label_CD, self.text_width, encoder, prompts, crops=self.crops, kind=self.kind
        )
        return build_baseline(self.name, inputs, self.options)

    def with_map(self, system: Baseline, label_CD: torch.Tensor) -> Baseline:
        """Return a system with the class map of this way; see `with_class_map`."""
        if self.way == "coarse":
            return system
        return with_class_map(system, self.way, len(label_CD), label_CD)

    def limits(self) -> list[str]:
        """Return a sentence per limit of the answers, for whoever reads an analysis."""
        if self.coarse:
            return [
                f"{self.title} has no class head: it says when something is abnormal, and not of "
                "which class"
            ]
        if self.way == "F0":
            return []
        return [f"the classes of {self.title} come from {WAYS[self.way]}"]


def clip_text(
    config: Config, width: int, classes: Sequence[str]
) -> tuple[ClipText, Prompts] | None:
    """Return CLIP's text encoder and the class names as tokens.

    Args:
        config: names CLIP.
        width: D of the features that the texts are compared with.
        classes: the class names.

    Returns:
        None where this CLIP did not make the features, as their width shows.

    Raises:
        ModelUnavailableError: the weights of CLIP cannot be found.
    """
    # The device of a frozen encoder follows the system's; float32 is what prompts are learned in.
    clip = config.clip.model_copy(update={"dtype": "float32"})
    encoder = load_clip(config.model_copy(update={"device": "cpu", "clip": clip}))
    if encoder.width != width:
        return None
    tokens_CL = encoder.tokenize([readable_label(label) for label in classes])
    return ClipText(encoder.network), prompts_from_tokens(tokens_CL)
