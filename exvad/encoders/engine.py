"""Φ_C and Φ_LLM by vLLM in this process, and the settings of its engine.

`exvad.pipeline.engine` runs the same engine on many nodes with Ray Data. This module is for one
program on one machine, such as a server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from exvad.encoders.chat import (
    DEFAULT_CAPTION_PROMPT,
    image_message,
    load_tokenizer,
    tokenize_prompts,
)
from exvad.encoders.model_files import ModelUnavailableError, resolve_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.config import CaptionerConfig, EngineConfig, LLMConfig


def engine_options(engine: EngineConfig, dtype: str, on_cpu: bool) -> dict[str, Any]:
    """Return the keyword arguments of vLLM's engine.

    Args:
        engine: the configured settings; its `options` override everything else.
        dtype: of the weights; `auto` for the checkpoint's own.
        on_cpu: whether the engine runs on a CPU, where it compiles nothing.
    """
    options: dict[str, Any] = {"dtype": dtype, "tensor_parallel_size": engine.tensor_parallel}
    if engine.max_model_len:
        options["max_model_len"] = engine.max_model_len
    if on_cpu:
        options["enforce_eager"] = True
    return {**options, **engine.options}


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


def uses_chat_template(model: str) -> bool:
    """Return whether a captioner takes chat messages, which its processor's template shows.

    Raises:
        ModelUnavailableError: the processor cannot be found.
    """
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(resolve_model(model))
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(model, error) from error
    return bool(getattr(processor, "chat_template", None))


def plain_prompt_tokens(tokenizer: Any, prompt: str) -> list[int]:
    """Return the token ids of P_C for a captioner without a chat template."""
    # Some tokenizers add an end token even to an empty text, and the caption would be empty.
    return list(tokenizer(prompt)["input_ids"]) if prompt else [tokenizer.bos_token_id]


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
        self.engine = _load_engine(llm.model, llm.engine, llm.dtype, device)
        self.sampling = sampling_parameters(max_new_tokens, schema)

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Return the model's answer to each prompt, without the prompt."""
        inputs = [
            {"prompt_token_ids": token_ids}
            for token_ids in tokenize_prompts(self.tokenizer, prompts)
        ]
        return _generate(self.engine, inputs, self.sampling)


class EngineCaptioner:
    """A frozen vision-language model that vLLM runs in this process, with greedy decoding.

    Args:
        captioner: the model and the settings of the engine; P_C is its `prompt`.
        device: `auto`, `cuda` or `cpu`.

    Raises:
        ModelUnavailableError: the checkpoint cannot be found, or vLLM is not installed.
    """

    def __init__(self, captioner: CaptionerConfig, device: str = "auto") -> None:
        self.prompt = captioner.prompt
        self.uses_chat_template = uses_chat_template(captioner.model)
        self.tokenizer = load_tokenizer(captioner.model)
        self.engine = _load_engine(captioner.model, captioner.engine, captioner.dtype, device)
        self.sampling = sampling_parameters(captioner.max_new_tokens)

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Return one caption for each RGB frame of uint8 [N, H, W, 3]."""
        if self.uses_chat_template:
            prompt = self.prompt or DEFAULT_CAPTION_PROMPT
            conversations = [[image_message(prompt, frame)] for frame in frames]
            outputs = self.engine.chat(conversations, _to_vllm(self.sampling), use_tqdm=False)
            return _texts(outputs)
        token_ids = plain_prompt_tokens(self.tokenizer, self.prompt)
        inputs = [
            {
                "prompt_token_ids": token_ids,
                "multi_modal_data": {"image": Image.fromarray(frame)},
            }
            for frame in frames
        ]
        return _generate(self.engine, inputs, self.sampling)


def _load_engine(model: str, engine: EngineConfig, dtype: str, device: str) -> Any:
    import torch

    try:
        from vllm import LLM
    except ImportError as error:
        raise ModelUnavailableError(model, error) from error
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    try:
        return LLM(resolve_model(model), **engine_options(engine, dtype, on_cpu))
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(model, error) from error


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


def _generate(engine: Any, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> list[str]:
    return _texts(engine.generate(inputs, _to_vllm(parameters), use_tqdm=False))


def _texts(outputs: Sequence[Any]) -> list[str]:
    return [output.outputs[0].text.strip() for output in outputs]
