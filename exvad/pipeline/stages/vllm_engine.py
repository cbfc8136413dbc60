"""vLLM on a cluster: Ray Data passes prompts and frames to its engines (`ray.data.llm`).

The engines batch continuously, so a prompt enters as soon as it is there. The steps before and
after them (decoding, cleaning, parsing of answers) run in actors of their own beside them.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ray
import ray.data
from ray import PlacementGroupID
from ray.exceptions import RayError
from ray.util.placement_group import PlacementGroup

from exvad.encoders.answers import Answer
from exvad.encoders.chat import load_tokenizer, prompt_thoughts, tokenize_prompts
from exvad.encoders.engine import engine_error, engine_options, sampling_parameters
from exvad.encoders.model_files import resolve_model
from exvad.pipeline.placement import check_placement, most_processes, waiting_reported
from exvad.pipeline.stages.actors import engine_demand

if TYPE_CHECKING:
    from exvad.config import Config, EngineConfig, Resources

ERROR_COLUMN = "__inference_error__"
# Ray's own steps around the engine only rename columns. By default each of them requests a whole
# core, which a node full of actors never has.
LIGHT_STEP = {"num_cpus": 0.1}
VLLM_FRAME = re.compile(r'File "[^"]*[/\\]vllm[/\\]')

Engine = Callable[[ray.data.Dataset], ray.data.Dataset]


class EngineLanguageModel:
    """A language model that vLLM runs on the cluster, for a few prompts at a time.

    Args:
        config: the model, and the resources `stages.language`.
        max_new_tokens: longest answer, in tokens.
    """

    def __init__(self, config: Config, max_new_tokens: int) -> None:
        llm = config.llm
        demand = engine_demand("stages.language", config.stages.language, llm.engine)
        check_placement("the language model", [demand])
        self.model = llm.model
        self.tokenizer = load_tokenizer(llm.model)
        self.sampling = sampling_parameters(max_new_tokens)
        self.engine = build_engine(
            llm.model, llm.engine, llm.dtype, config.device, config.stages.language
        )

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        """Return the model's answer to each prompt, a refusal where the engine failed."""
        requests = [
            {"prompt_index": index, "tokenized_prompt": tokens, "sampling_params": self.sampling}
            for index, tokens in enumerate(tokenize_prompts(self.tokenizer, prompts))
        ]
        rows = self.engine(ray.data.from_items(requests, override_num_blocks=1)).iter_rows()
        answers = [Answer("")] * len(prompts)
        with engines_running(self.model), waiting_reported("the language model"):
            for row in rows:
                answers[row["prompt_index"]] = row_answer(
                    row, self.sampling["max_tokens"], prompt_thoughts(self.tokenizer)
                )
        return answers


def row_answer(row: Mapping[str, Any], max_new_tokens: int, thoughts: str) -> Answer:
    """Return the answer in a row of an engine's output; a refusal where the engine failed.

    Args:
        row: the row.
        max_new_tokens: maximum length of the answer.
        thoughts: the mark of thoughts that the prompt ends with; see `prompt_thoughts`.
    """
    if row[ERROR_COLUMN]:
        return Answer("", refusal=str(row[ERROR_COLUMN]))
    # Ray's rows have no finish reason. An answer of just this length may have ended by itself.
    is_cut_off = row["num_generated_tokens"] >= max_new_tokens
    text = f"{thoughts}{row['generated_text']}".strip()
    return Answer(text, max_new_tokens if is_cut_off else 0)


def build_engine(
    model: str,
    settings: EngineConfig,
    dtype: str,
    device: str,
    resources: Resources,
) -> Engine:
    """Build the processor in which vLLM answers the rows of a data set.

    Args:
        model: hub name, folder, or `package:NAME`.
        settings: the settings of the engine.
        dtype: data type of the weights.
        device: `cpu` where there is no GPU.
        resources: the resources of each worker of an engine, and the largest number of engines.

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
    gpus = resources.gpus if resources.gpus and device != "cpu" else None
    worker = {"CPU": resources.cpus, "GPU": resources.gpus}
    # Without a placement group of its own Ray gives every worker a GPU, requested or not.
    bundle = {name: amount for name, amount in worker.items() if amount}
    stages = {"chat_template_stage": False, "tokenize_stage": False, "detokenize_stage": False}
    with _info_logs_hidden():
        engine: Engine = build_processor(
            vLLMEngineProcessorConfig(
                model_source=resolve_model(model),
                engine_kwargs=engine_options(model, settings, dtype, gpus),
                batch_size=settings.batch_size,
                # Further engines start where there is room. If all had to start first, a small
                # node would have no room left for the steps that feed them.
                concurrency=(1, resources.max_actors or most_processes(worker)),
                placement_group_config={"bundles": [bundle] * settings.tensor_parallel},
                # A prompt that can't be answered fails alone.
                should_continue_on_error=True,
                log_engine_metrics=False,
                runtime_env={"py_executable": settings.python} if settings.python else None,
                **stages,
            ),
            preprocess_map_kwargs=LIGHT_STEP,
            postprocess_map_kwargs=LIGHT_STEP,
        )
    return engine


@contextmanager
def engines_running(model: str) -> Iterator[None]:
    """Describe the failures of engines inside the block, and free their GPUs at its end.

    Args:
        model: the configured name of their model.

    Raises:
        EngineError: an engine could not start, or stopped.
    """
    try:
        yield
    except RayError as error:
        message = str(error)
        if VLLM_FRAME.search(message):
            raise engine_error(model, message) from error
        raise
    finally:
        _remove_placement_groups()


def _remove_placement_groups() -> None:
    """Remove the placement groups of this job; Ray leaves those of large engines behind."""
    job = ray.get_runtime_context().get_job_id()
    for identifier, group in ray.util.placement_group_table().items():
        # The identifier ends with that of the job.
        if identifier.endswith(job) and group["state"] != "REMOVED":
            ray.util.remove_placement_group(PlacementGroup(PlacementGroupID.from_hex(identifier)))


@contextmanager
def _info_logs_hidden() -> Iterator[None]:
    """Hide Ray's info logs while it builds a processor; warnings and errors are shown."""
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
