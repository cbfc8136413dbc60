"""Labels: the language model writes LAAM's phrases about every class.

`exvad labels --preset demo` writes RUN/labels.json; `labels.file=…` takes a prepared file.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from exvad.aegm.prompts import load_prompt
from exvad.data.atomic import write_text_atomic
from exvad.data.dataset import read_run_manifest
from exvad.encoders.loading import load_llm
from exvad.laam.phrases import LabelPhrases, write_phrases
from exvad.laam.run_labels import IMPORTED_LABELS_FILE
from exvad.pipeline.session import ray_session
from exvad.pipeline.stages.vllm_engine import EngineLanguageModel
from exvad.pipeline.terminal import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exvad.config import Config
    from exvad.encoders.protocols import LanguageModel

MIN_PHRASE_TOKENS = 512  # that an answer may have, whatever the explanations may have


def write_labels(config: Config) -> int:
    """Write the label file of a run: LAAM's phrases about every class.

    Args:
        config: the configuration of the run; `labels.file` names a prepared file.

    Returns:
        The exit code.

    Raises:
        ValueError: the run has no manifest, or the classes of the prepared file are not those of
            the data set.
    """
    classes = read_run_manifest(config).classes
    imported = config.run_path / IMPORTED_LABELS_FILE
    if imported.exists():
        console.print(f"label embeddings were imported: {imported}")
        return 0
    if config.labels.file:
        labels = _read_labels(config.labels.file, classes)
    else:
        labels = _generate_labels(config, classes)
    write_text_atomic(config.labels_path, labels.model_dump_json(indent=2) + "\n")
    console.print(f"{len(classes)} classes with their phrases are in {config.labels_path}")
    return 0


def _read_labels(file: str, classes: Sequence[str]) -> LabelPhrases:
    labels = LabelPhrases.read(file)
    if labels.classes != tuple(classes):
        raise ValueError(
            f"{file} has the classes {', '.join(labels.classes)}, the data set {', '.join(classes)}"
        )
    return labels


def _generate_labels(config: Config, classes: Sequence[str]) -> LabelPhrases:
    prompt = load_prompt(config.labels.prompt)
    max_new_tokens = max(config.llm.max_new_tokens, MIN_PHRASE_TOKENS)
    with ExitStack() as stack:
        llm: LanguageModel
        if config.llm.backend == "vllm":
            stack.enter_context(ray_session())
            llm = EngineLanguageModel(config, max_new_tokens)
        else:
            llm = load_llm(config, max_new_tokens=max_new_tokens)
        phrases = write_phrases(classes, llm, prompt, config.labels.phrases)
    return LabelPhrases(
        phrases=phrases, origin=f"written by {config.llm.model}, prompt {prompt.identity}"
    )
