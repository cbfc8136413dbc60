"""Φ_LLM by vLLM in this process, and the settings of its engine.

`exvad.pipeline.engine` runs the same engine on many nodes with Ray Data. This module is for one
program on one machine, such as a server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exvad.encoders.answers import Answer
from exvad.encoders.chat import load_tokenizer, prompt_thoughts, tokenize_prompts
from exvad.encoders.devices import resolve_device
from exvad.encoders.model_files import ModelUnavailableError, resolve_model

if TYPE_CHECKING:
    from exvad.config import EngineConfig, LLMConfig

GPU_MEMORY_SHARE = 0.9


class EngineError(ValueError):
    """vLLM could not start, or could not answer a prompt, such as one that is too long for it."""


def engine_options(
    model: str, engine: EngineConfig, dtype: str, gpus: float | None
) -> dict[str, Any]:
    """Return the keyword arguments of vLLM's engine.

    Args:
        model: hub name, folder, or `package:NAME`.
        engine: the configured settings; its `options` override everything else.
        dtype: of the weights; `auto` for the checkpoint's own.
        gpus: the share of its GPU that each worker of the engine has, 0 to 1; None for a CPU,
            where the engine compiles nothing.

    Raises:
        ModelUnavailableError: the model's configuration cannot be found.
    """
    options: dict[str, Any] = {"dtype": dtype, "tensor_parallel_size": engine.tensor_parallel}
    if engine.max_model_len:
        # vLLM refuses more tokens than the model's own limit.
        limit = _own_token_limit(model) or engine.max_model_len
        options["max_model_len"] = min(engine.max_model_len, limit)
    if gpus is None:
        options["enforce_eager"] = True
    else:
        # vLLM counts the share of the memory of the whole GPU, whoever else uses it.
        options["gpu_memory_utilization"] = round(GPU_MEMORY_SHARE * min(gpus, 1), 4)
    return {**options, **engine.options}


def _own_token_limit(model: str) -> int | None:
    """Return the maximum length of a model's sequences; None if its configuration lacks it."""
    from transformers import AutoConfig

    try:
        text_config = AutoConfig.from_pretrained(resolve_model(model)).get_text_config(decoder=True)
    except OSError as error:
        raise ModelUnavailableError(model, error) from error
    except ValueError:
        return None  # vLLM runs some models that transformers does not
    return getattr(text_config, "max_position_embeddings", None)


def engine_error(model: str, message: str) -> EngineError:
    """Return the error of an engine that stopped or could not start.

    Args:
        model: the configured name of the model.
        message: the message of vLLM.
    """
    reason = message.strip().splitlines()[-1] if message.strip() else "no message"
    return EngineError(
        f"vLLM can't run model {model!r} ({reason}). If memory is short, lower "
        "engine.max_model_len, set engine.options.quantization, or share the model among more GPUs "
        "with engine.tensor_parallel; the log of the worker has the cause"
    )


def sampling_parameters(
    max_new_tokens: int, schema: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return vLLM's sampling parameters for greedy decoding.

    Args:
        max_new_tokens: maximum length of an answer.
        schema: JSON schema that the answers are constrained to; None for free text.
    """
    parameters: dict[str, Any] = {"temperature": 0.0, "max_tokens": max_new_tokens}
    if schema is not None:
        parameters["structured_outputs"] = {"json": json.dumps(schema)}
    return parameters


def to_answer(completion: Any) -> Answer:
    """Return the answer in a completion of vLLM: an object with text, tokens and finish reason."""
    is_cut_off = completion.finish_reason == "length"
    return Answer(completion.text.strip(), len(completion.token_ids) if is_cut_off else 0)


class EngineLLM:
    """A frozen language model that vLLM runs in this process, with greedy decoding.

    Args:
        llm: the model and the settings of the engine.
        device: `auto`, `cuda` or `cpu`.
        max_new_tokens: maximum length of an answer.
        schema: JSON schema that the answers are constrained to; None for free text.

    Raises:
        ModelUnavailableError: the checkpoint cannot be found, or vLLM is not installed.
    """

    def __init__(
        self,
        llm: LLMConfig,
        device: str = "auto",
        max_new_tokens: int = 256,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        self.tokenizer = load_tokenizer(llm.model)
        self.engine = load_engine(llm.model, llm.engine, llm.dtype, device)
        self.sampling = sampling_parameters(max_new_tokens, schema)

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        """Return the model's answer to each prompt."""
        inputs = [
            {"prompt_token_ids": token_ids}
            for token_ids in tokenize_prompts(self.tokenizer, prompts)
        ]
        thoughts = prompt_thoughts(self.tokenizer)
        answers = generate(self.engine, inputs, self.sampling)
        return [replace(answer, text=thoughts + answer.text) for answer in answers]


def load_engine(model: str, engine: EngineConfig, dtype: str, device: str) -> Any:
    """Start vLLM in this process.

    Args:
        model: hub name, folder, or `package:NAME`.
        engine: the settings of the engine.
        dtype: of the weights; `auto` for the checkpoint's own.
        device: `auto`, `cuda` or `cpu`.

    Raises:
        ModelUnavailableError: the checkpoint cannot be found, or vLLM is not installed.
        EngineError: vLLM cannot start.
    """
    try:
        from vllm import LLM
    except ImportError as error:
        raise ModelUnavailableError(model, error) from error
    gpus = None if resolve_device(device).type == "cpu" else 1.0
    try:
        return LLM(resolve_model(model), **engine_options(model, engine, dtype, gpus))
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(model, error) from error
    except RuntimeError as error:
        raise engine_error(model, str(error)) from error


def _to_vllm(parameters: Mapping[str, Any]) -> Any:
    """Return vLLM's object of the parameters that `sampling_parameters` made."""
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    plain = {name: value for name, value in parameters.items() if name != "structured_outputs"}
    structured = parameters.get("structured_outputs")
    return SamplingParams(
        **plain,
        structured_outputs=None if structured is None else StructuredOutputsParams(**structured),
    )


def generate(engine: Any, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> list[Answer]:
    """Return an engine's answers.

    Args:
        engine: the engine, from `load_engine`.
        inputs: its prompts, such as token ids with images.
        parameters: the result of `sampling_parameters`.
    """
    outputs = engine.generate(inputs, _to_vllm(parameters), use_tqdm=False)
    return [to_answer(output.outputs[0]) for output in outputs]
