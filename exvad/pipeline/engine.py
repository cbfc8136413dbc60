"""vLLM as a stage of its own: Ray Data hands its engines prompts and pictures (`ray.data.llm`).

The engines batch continuously, so a question goes in as soon as it is there; what comes before and
after them (decoding, cleaning, checking answers) runs in stages of their own beside them.
"""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from exvad.pipeline.stages import Outcome, actors, keep

if TYPE_CHECKING:
    from exvad.config import Config, EngineConfig, Resources
    from exvad.store.store import Stage, Store

FAILED = "__inference_error__"
# Ray's own steps around the engine only rename columns. By default each would wait for a whole
# core, which a node full of actors never has.
LIGHT = {"num_cpus": 0.1}


class EngineError(ValueError):
    """vLLM could not answer one question, such as one that is longer than the model reads."""


class Asker:
    """Stage input: videos and where their captions are. Output: what the engine is asked."""

    def __init__(self, config: Config, classes: Sequence[str], store: Store) -> None:
        from exvad.aegm.explanation import explanation_schema
        from exvad.aegm.language_stage import CleaningStage, LanguageSettings
        from exvad.encoders.chat import load_tokenizer
        from exvad.encoders.engine import greedy
        from exvad.encoders.loading import load_clip

        self.store = store
        self.cleaning = CleaningStage(load_clip(config), LanguageSettings.of(config, classes))
        self.tokenizer = load_tokenizer(config.llm.model)
        schema = explanation_schema(classes) if config.llm.structured else None
        self.sampling = greedy(config.llm.max_new_tokens, schema)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process one batch of rows."""
        from exvad.aegm.language_stage import read_captioned
        from exvad.encoders.chat import prompt_tokens

        rows = zip(batch["video_id"], batch["parts"], batch["refused"], strict=True)
        parts, refused = {}, {}
        for video, own, reason in rows:
            parts[str(video)], refused[str(video)] = json.loads(own), str(reason)
        questions = self.cleaning.clean(read_captioned(self.store, parts))
        prompts = [self.cleaning.prompt(each, refused[each.video_id]) for each in questions]
        plain = [question.to_row() for question in questions]
        return {
            **{name: [row[name] for row in plain] for name in plain[0]},
            "tokenized_prompt": prompt_tokens(self.tokenizer, prompts),
            "sampling_params": [self.sampling] * len(prompts),
        }


class Keeper:
    """Stage input: what the engine answered. Output: outcomes; explanations go to the store."""

    def __init__(self, config: Config, classes: Sequence[str], stage: Stage) -> None:
        from exvad.aegm.language_stage import CleaningStage, LanguageSettings
        from exvad.encoders.loading import load_clip

        self.stage, self.classes = stage, classes
        self.cleaning = CleaningStage(load_clip(config), LanguageSettings.of(config, classes))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Process one batch of rows."""
        from exvad.aegm.explanation import ExplanationError, parse_explanation
        from exvad.aegm.language_stage import Question

        outcomes, rows = [], []
        for number, video in enumerate(batch["video_id"]):
            question = Question.from_row({name: batch[name][number] for name in batch})
            try:
                if batch[FAILED][number]:
                    raise EngineError(batch[FAILED][number])
                answer = parse_explanation(
                    batch["generated_text"][number].strip(),
                    self.classes,
                    len(question.cleaned.captions),
                )
            except (ExplanationError, EngineError) as error:
                outcomes.append(Outcome.of(str(video), error))
            else:
                rows.append(self.cleaning.row(question, answer))
                outcomes.append(Outcome(str(video)))
        if rows:
            keep(self.stage, rows)
        return {"outcome": [outcome.to_json() for outcome in outcomes]}


def explained(
    config: Config, classes: Sequence[str], store: Store, stage: Stage, todo: Any, size: int
) -> Any:
    """Return the data set of the outcomes of explaining the videos of a data set.

    Args:
        config: the models and how they are spread.
        classes: the known classes, the normal one first.
        store: holds the captions.
        stage: takes the explanations.
        todo: rows of `video_id`, `parts` (see `caption_parts`) and `refused`, why the last answer
            about it could not be used, or "".
        size: videos at once.
    """
    questions = todo.map_batches(
        Asker,
        fn_constructor_args=(config, classes, store),
        batch_size=size,
        batch_format="numpy",
        **actors(config.stages.text),
    )
    llm = config.llm
    answers = engine(llm.model, llm.engine, llm.dtype, config.device, config.stages.language)(
        questions
    )
    return answers.map_batches(
        Keeper,
        fn_constructor_args=(config, classes, stage),
        batch_size=size,
        batch_format="numpy",
        **actors(config.stages.text),
    )


class EngineLanguageModel:
    """A language model that vLLM runs on the cluster, for a few prompts at a time.

    Args:
        config: which model, and the resources of `stages.language`.
        max_new_tokens: the longest answer.
    """

    def __init__(self, config: Config, max_new_tokens: int) -> None:
        from exvad.encoders.chat import load_tokenizer
        from exvad.encoders.engine import greedy

        llm = config.llm
        self.tokenizer = load_tokenizer(llm.model)
        self.sampling = greedy(max_new_tokens)
        self.engine = engine(
            llm.model, llm.engine, llm.dtype, config.device, config.stages.language
        )

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Return the model's answer to each prompt, without the prompt, "" where it has none."""
        import ray

        from exvad.encoders.chat import prompt_tokens

        asked = [
            {"number": number, "tokenized_prompt": tokens, "sampling_params": self.sampling}
            for number, tokens in enumerate(prompt_tokens(self.tokenizer, prompts))
        ]
        answers = [""] * len(prompts)
        for row in self.engine(ray.data.from_items(asked, override_num_blocks=1)).iter_rows():
            answers[row["number"]] = "" if row[FAILED] else row["generated_text"].strip()
        return answers


def engine(
    model: str,
    settings: EngineConfig,
    dtype: str,
    device: str,
    resources: Resources,
    stages: Mapping[str, bool] | None = None,
) -> Any:
    """Return the processor that has vLLM answer the rows of a data set.

    Args:
        model: hub name, folder, or `package:NAME`.
        settings: of the engine.
        dtype: of the weights.
        device: `cpu` where there is no GPU.
        resources: of each of the engine's workers, and how many engines there may be.
        stages: which of the processor's own stages before the engine are switched on.

    Raises:
        ValueError: vLLM is not installed.
    """
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    from exvad.encoders.devices import resolve_model
    from exvad.encoders.engine import engine_options

    if not settings.python and importlib.util.find_spec("vllm") is None:
        raise ValueError(
            "backend vllm needs vLLM: pip install 'exvad[vllm]' on every node, or name the Python "
            "of an environment that has it (llm.engine.python)"
        )
    worker = {"CPU": resources.cpus, "GPU": resources.gpus}
    # Without a placement of its own Ray gives every worker a GPU, wanted or not.
    bundle = {name: amount for name, amount in worker.items() if amount}
    off = {"chat_template_stage": False, "tokenize_stage": False, "detokenize_stage": False}
    with _notes_hidden():
        return build_processor(
            vLLMEngineProcessorConfig(
                model_source=resolve_model(model),
                engine_kwargs=engine_options(settings, dtype, on_cpu=device == "cpu"),
                batch_size=settings.batch_size,
                # More come where there is room. If all had to be there first, a small node would
                # have none left for what feeds them, and nothing would ever be asked.
                concurrency=(1, resources.max_actors),
                placement_group_config={"bundles": [bundle] * settings.tensor_parallel},
                # A question that can't be answered costs only itself.
                should_continue_on_error=True,
                log_engine_metrics=False,
                runtime_env={"py_executable": settings.python} if settings.python else None,
                **{**off, **(stages or {})},
            ),
            preprocess_map_kwargs=LIGHT,
            postprocess_map_kwargs=LIGHT,
        )


@contextmanager
def _notes_hidden() -> Iterator[None]:
    """Hide what Ray notes while it builds a processor; warnings and errors come through."""
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
