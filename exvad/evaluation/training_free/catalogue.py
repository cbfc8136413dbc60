"""The systems without training by name, and how each is built from the models of a configuration.

C classes · D feature width
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exvad.evaluation.training_free.lavad import Lavad, LavadSettings
from exvad.evaluation.training_free.scoring import TrainingFreeSystem
from exvad.evaluation.training_free.vera import CaptionJudge, Judge, Vera, VeraSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.encoders.protocols import ImageTextEncoder, LanguageModel


@dataclass(frozen=True)
class TrainingFreeInputs:
    """What the systems work with.

    Args:
        clip: the encoder of the image features.
        llm: the language model.
        label_CD: label embeddings for class maps, the normal class first; None for none.
        questions: VERA's guiding questions; None for those that learning starts with.
        judge: what VERA asks; None for the language model, about captions.
        lavad: the settings of LAVAD.
        vera: the settings of VERA.
    """

    clip: ImageTextEncoder
    llm: LanguageModel
    label_CD: NDArray[np.floating] | None = None
    questions: Sequence[str] | None = None
    judge: Judge | None = None
    lavad: LavadSettings = field(default_factory=LavadSettings)
    vera: VeraSettings = field(default_factory=VeraSettings)


@dataclass(frozen=True)
class TrainingFreeEntry:
    """A system without training.

    Args:
        title: its name in tables, with what is not as published.
        build: makes the system.
    """

    title: str
    build: Callable[[TrainingFreeInputs], TrainingFreeSystem]


def build_training_free(name: str, inputs: TrainingFreeInputs) -> TrainingFreeSystem:
    """Build a system without training.

    Args:
        name: a key of `TRAINING_FREE`.
        inputs: the models.

    Raises:
        ValueError: there is no such system.
    """
    if name not in TRAINING_FREE:
        raise ValueError(f"there is no system {name!r}: known are {', '.join(TRAINING_FREE)}")
    return TRAINING_FREE[name].build(inputs)


def _lavad(inputs: TrainingFreeInputs) -> TrainingFreeSystem:
    return Lavad(inputs.clip, inputs.llm, inputs.lavad, inputs.label_CD)


def _vera(inputs: TrainingFreeInputs) -> TrainingFreeSystem:
    judge = inputs.judge or CaptionJudge(inputs.clip, inputs.llm)
    return Vera(judge, inputs.questions, inputs.vera, inputs.label_CD)


TRAINING_FREE: dict[str, TrainingFreeEntry] = {
    "lavad": TrainingFreeEntry("LAVAD (stored captions, CLIP)", _lavad),
    "vera": TrainingFreeEntry("VERA (stored captions, CLIP)", _vera),
}
