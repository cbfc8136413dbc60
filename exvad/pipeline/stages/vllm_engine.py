"""vLLM on a cluster: Ray Data passes prompts and frames to its engines (`ray.data.llm`).

The engines batch continuously, so a prompt enters as soon as it is there. The steps before and
after them (decoding, cleaning, parsing of answers) run in actors of their own beside them.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import ray.data

from exvad.encoders.chat import load_tokenizer, tokenize_prompts
from exvad.encoders.engine import engine_options, sampling_parameters
from exvad.encoders.model_files import resolve_model

if TYPE_CHECKING:
    from exvad.config import Config, EngineConfig, Resources

ERROR_COLUMN = "__inference_error__"
# Ray's own steps around the engine only rename columns. By default each of them requests a whole
# core, which a node full of actors never has.
LIGHT_STEP = {"num_cpus": 0.1}

Engine = Callable[[ray.data.Dataset], ray.data.Dataset]


class EngineError(ValueError):
    """vLLM could not answer a prompt, for example one that is longer than the model reads."""


class EngineLanguageModel:
    """A language model that vLLM runs on the cluster, for a few prompts at a time.

    Args:
        config: the model, and the resources `stages.language`.
        max_new_tokens: longest answer, in tokens.
    """

    def __init__(self, config: Config, max_new_tokens: int) -> None:
        llm = config.llm
        self.tokenizer = load_tokenizer(llm.model)
        self.sampling = sampling_parameters(max_new_tokens)
        self.engine = build_engine(
            llm.model, llm.engine, llm.dtype, config.device, config.stages.language
        )

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Return the model's answer to each prompt, without the prompt; "" where it failed."""
        requests = [
            {"prompt_index": index, "tokenized_prompt": tokens, "sampling_params": self.sampling}
            for index, tokens in enumerate(tokenize_prompts(self.tokenizer, prompts))
        ]
        rows = self.engine(ray.data.from_items(requests, override_num_blocks=1)).iter_rows()
        answers = [""] * len(prompts)
        for row in rows:
            if not row[ERROR_COLUMN]:
                answers[row["prompt_index"]] = row["generated_text"].strip()
        return answers


def build_engine(
    model: str,
    settings: EngineConfig,
    dtype: str,
    device: str,
    resources: Resources,
    preparation: Mapping[str, bool] | None = None,
) -> Engine:
    """Build the processor in which vLLM answers the rows of a data set.

    Args:
        model: hub name, folder, or `package:NAME`.
        settings: the settings of the engine.
        dtype: data type of the weights.
        device: `cpu` where there is no GPU.
        resources: the resources of each worker of an engine, and the largest number of engines.
        preparation: names of the processor's preparation stages → whether they run.

    Raises:
        ValueError: vLLM is not installed.
    """
    # This import takes seconds, and only jobs with backend vllm need it.
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    if not settings.python and importlib.util.find_spec("vllm") is None:
        raise ValueError(
            "backend vllm needs vLLM: pip install 'exvad[vllm]' on every node, or name the Python "
            "of an environment that has it (llm.engine.python)"
        )
    worker = {"CPU": resources.cpus, "GPU": resources.gpus}
    # Without a placement group of its own Ray gives every worker a GPU, requested or not.
    bundle = {name: amount for name, amount in worker.items() if amount}
    stages = {"chat_template_stage": False, "tokenize_stage": False, "detokenize_stage": False}
    with _info_logs_hidden():
        engine: Engine = build_processor(
            vLLMEngineProcessorConfig(
                model_source=resolve_model(model),
                engine_kwargs=engine_options(settings, dtype, on_cpu=device == "cpu"),
                batch_size=settings.batch_size,
                # Further engines start where there is room. If all had to start first, a small
                # node would have no room left for the steps that feed them.
                concurrency=(1, resources.max_actors),
                placement_group_config={"bundles": [bundle] * settings.tensor_parallel},
                # A prompt that can't be answered fails alone.
                should_continue_on_error=True,
                log_engine_metrics=False,
                runtime_env={"py_executable": settings.python} if settings.python else None,
                **{**stages, **(preparation or {})},
            ),
            preprocess_map_kwargs=LIGHT_STEP,
            postprocess_map_kwargs=LIGHT_STEP,
        )
    return engine


@contextmanager
def _info_logs_hidden() -> Iterator[None]:
    """Hide Ray's info logs while it builds a processor; warnings and errors are shown."""
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
