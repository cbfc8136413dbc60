"""Labels: the language model writes LAAM's phrases about every class.

`exvad labels --preset demo` writes RUN/labels.json; `labels.file=…` takes a prepared file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exvad.aegm.prompts import load_prompt
from exvad.data.dataset import read_run_manifest
from exvad.data.storage.places import resolve_place
from exvad.encoders.loading import load_llm
from exvad.laam.phrases import LabelPhrases, write_phrases
from exvad.laam.run_labels import IMPORTED_LABELS_FILE
from exvad.pipeline.placement import Demand
from exvad.pipeline.progress.terminal import console
from exvad.pipeline.session import ray_session
from exvad.pipeline.stages.vllm_engine import EngineLanguageModel
from exvad.pipeline.tasks import run_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exvad.aegm.prompts import Prompt
    from exvad.config import Config

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
    imported = resolve_place(config.in_run(IMPORTED_LABELS_FILE))
    if imported.exists():
        console.print(f"label embeddings were imported: {imported}")
        return 0
    if config.labels.file:
        labels = _read_labels(config.labels.file, classes)
    else:
        labels = _generate_labels(config, classes)
    resolve_place(config.labels_path).write_text(labels.model_dump_json(indent=2) + "\n")
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
    if config.llm.backend == "vllm":
        with ray_session():
            llm = EngineLanguageModel(config, _max_new_tokens(config))
            phrases = write_phrases(classes, llm, prompt, config.labels.phrases)
    else:
        resources = config.stages.language
        demand = Demand("process", "stages.language", resources.cpus, resources.gpus)
        phrases = run_task("writing the phrases", demand, config,
                           _phrases_by_own_model, config, classes, prompt)  # fmt: skip
    return LabelPhrases(
        phrases=phrases, origin=f"written by {config.llm.model}, prompt {prompt.identity}"
    )


def _phrases_by_own_model(
    config: Config, classes: Sequence[str], prompt: Prompt
) -> dict[str, list[str]]:
    """Load the language model in this process and let it write the phrases."""
    llm = load_llm(config, max_new_tokens=_max_new_tokens(config))
    return write_phrases(classes, llm, prompt, config.labels.phrases)


def _max_new_tokens(config: Config) -> int:
    return max(config.llm.max_new_tokens, MIN_PHRASE_TOKENS)
