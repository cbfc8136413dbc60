"""Labels: have the language model write LAAM's phrases about every class.

`python jobs/labels.py --preset demo` writes RUN/labels.json; `labels.file=…` takes a ready file.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from exvad.pipeline.session import console, ray_session

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.encoders.protocols import LanguageModel

PHRASE_TOKENS = 512


def write_labels(config: Config) -> int:
    """Write the label file of a run: LAAM's phrases about every class.

    Args:
        config: the configuration; `labels.file` names a ready file.

    Returns:
        The exit code.
    """
    from exvad.aegm.prompts import load_prompt
    from exvad.data.atomic import write_text_atomic
    from exvad.data.dataset import saved_manifest
    from exvad.encoders.loading import load_llm
    from exvad.laam.phrases import LabelPhrases, write_phrases
    from exvad.laam.run_labels import IMPORTED
    from exvad.pipeline.engine import EngineLanguageModel

    classes = saved_manifest(config).classes
    if (config.run_path / IMPORTED).exists():
        console.print(f"label embeddings were imported: {config.run_path / IMPORTED}")
        return 0
    if config.labels.file:
        labels = LabelPhrases.read(config.labels.file)
        if labels.classes != classes:
            raise ValueError(
                f"{config.labels.file} has the classes {', '.join(labels.classes)}, "
                f"the data set {', '.join(classes)}"
            )
    else:
        prompt = load_prompt(config.labels.prompt)
        with ExitStack() as ends:
            llm: LanguageModel
            if config.llm.backend == "vllm":
                ends.enter_context(ray_session())
                llm = EngineLanguageModel(config, PHRASE_TOKENS)
            else:
                llm = load_llm(config, max_new_tokens=PHRASE_TOKENS)
            phrases = write_phrases(classes, llm, prompt, config.labels.phrases)
        labels = LabelPhrases(
            phrases=phrases, origin=f"written by {config.llm.model}, prompt {prompt.identity}"
        )
    write_text_atomic(config.labels_path, labels.model_dump_json(indent=2) + "\n")
    console.print(f"{len(classes)} classes with their phrases are in {config.labels_path}")
    return 0
