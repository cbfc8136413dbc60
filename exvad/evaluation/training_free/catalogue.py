"""The systems without training by name, and how each is built from the models of a configuration.

C classes · D feature width
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exvad.encoders.loading import load_clip, load_llm
from exvad.evaluation.training_free.lavad import Lavad, LavadSettings
from exvad.evaluation.training_free.scoring import TrainingFreeSystem
from exvad.evaluation.training_free.stored_answers import StoredAnswers
from exvad.evaluation.training_free.vera import CaptionJudge, Judge, Vera, VeraSettings

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.encoders.protocols import ImageTextEncoder, LanguageModel

ANSWER_TOKENS = 512


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


def load_inputs(
    config: Config,
    label_CD: NDArray[np.floating] | None = None,
    answers: str | Path | None = None,
) -> TrainingFreeInputs:
    """Load the models that the systems need.

    Answers may have 512 tokens at least: VERA's are sentences. LAVAD asks without a role where the
    data set is XD-Violence.

    Args:
        config: CLIP, which must be the model of the image features, and the language model.
        label_CD: see `TrainingFreeInputs`.
        answers: a local file that keeps the answers of the language model; see `StoredAnswers`.

    Raises:
        ModelUnavailableError: the weights of a model cannot be found.
        ValueError: the file is no file of answers.
    """
    length = max(config.llm.max_new_tokens, ANSWER_TOKENS)
    llm = load_llm(config, max_new_tokens=length)
    if answers is not None:
        identity = f"{config.llm.backend} {config.llm.model} {config.llm.dtype} {length}"
        llm = StoredAnswers(llm, answers, identity)
    lavad = LavadSettings(role=config.data.kind != "xd_violence")
    return TrainingFreeInputs(load_clip(config), llm, label_CD, lavad=lavad)


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
