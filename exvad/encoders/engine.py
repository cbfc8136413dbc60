"""vLLM: its engine's settings, and the two models run by it in this process.

`exvad.pipeline.engine` runs the same engine on many nodes by Ray Data; this module is for one
program on one machine, such as a server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from exvad.encoders.chat import ASKED, image_turn, load_tokenizer, prompt_tokens
from exvad.encoders.devices import ModelUnavailableError, resolve_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.config import CaptionerConfig, EngineConfig, LLMConfig


def engine_options(engine: EngineConfig, dtype: str, on_cpu: bool) -> dict[str, Any]:
    """Return the keyword arguments of vLLM's engine.

    Args:
        engine: the configured settings; its `options` go before everything else.
        dtype: of the weights; `auto` for the checkpoint's own.
        on_cpu: there is no GPU, so nothing is compiled for one.
    """
    options: dict[str, Any] = {"dtype": dtype, "tensor_parallel_size": engine.tensor_parallel}
    if engine.max_model_len:
        options["max_model_len"] = engine.max_model_len
    if on_cpu:
        options["enforce_eager"] = True
    return {**options, **engine.options}


def greedy(max_new_tokens: int, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return sampling parameters: the likeliest token each time, held to a JSON schema if any."""
    sampling: dict[str, Any] = {"temperature": 0.0, "max_tokens": max_new_tokens}
    if schema is not None:
        sampling["structured_outputs"] = {"json": json.dumps(schema)}
    return sampling


def chats(model: str) -> bool:
    """Tell whether a picture model is asked in turns of a chat, as its processor says."""
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(resolve_model(model))
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(model, error) from error
    return bool(getattr(processor, "chat_template", None))


def opening(tokenizer: Any, prompt: str) -> list[int]:
    """Return the tokens a model that does not chat is given beside the picture."""
    # A text of no words may have an end, which would leave nothing to say.
    return list(tokenizer(prompt)["input_ids"]) if prompt else [tokenizer.bos_token_id]


class EngineLLM:
    """A frozen language model that vLLM runs in this process, greedily.

    Args:
        llm: which model and how.
        device: `auto`, `cuda` or `cpu`.
        max_new_tokens: the longest answer.
        schema: JSON schema the answers are held to.

    Raises:
        ModelUnavailableError: the checkpoint can't be found, or vLLM is not installed.
    """

    def __init__(
        self,
        llm: LLMConfig,
        device: str = "auto",
        max_new_tokens: int = 256,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        self.tokenizer = load_tokenizer(llm.model)
        self.engine = _load(llm.model, llm.engine, llm.dtype, device)
        self.sampling = greedy(max_new_tokens, schema)

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Return the model's answer to each prompt, without the prompt."""
        tokens = prompt_tokens(self.tokenizer, prompts)
        return _generate(self.engine, [{"prompt_token_ids": own} for own in tokens], self.sampling)


class EngineCaptioner:
    """A frozen picture model that vLLM runs in this process, greedily.

    Args:
        captioner: which model and how; P_C is its `prompt`.
        device: `auto`, `cuda` or `cpu`.

    Raises:
        ModelUnavailableError: the checkpoint can't be found, or vLLM is not installed.
    """

    def __init__(self, captioner: CaptionerConfig, device: str = "auto") -> None:
        self.prompt = captioner.prompt
        self.chats = chats(captioner.model)
        self.tokenizer = load_tokenizer(captioner.model)
        self.engine = _load(captioner.model, captioner.engine, captioner.dtype, device)
        self.sampling = greedy(captioner.max_new_tokens)

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Write one caption for each RGB picture of uint8 [N, H, W, 3]."""
        from PIL import Image

        if self.chats:
            turns = [[image_turn(self.prompt or ASKED, frame)] for frame in frames]
            return _texts(self.engine.chat(turns, _sampling(self.sampling), use_tqdm=False))
        tokens = opening(self.tokenizer, self.prompt)
        asked = [
            {
                "prompt_token_ids": tokens,
                "multi_modal_data": {"image": Image.fromarray(frame)},
            }
            for frame in frames
        ]
        return _generate(self.engine, asked, self.sampling)


def _load(model: str, engine: EngineConfig, dtype: str, device: str) -> Any:
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


def _sampling(values: Mapping[str, Any]) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    plain = {name: value for name, value in values.items() if name != "structured_outputs"}
    shape = values.get("structured_outputs")
    return SamplingParams(
        **plain, structured_outputs=None if shape is None else StructuredOutputsParams(**shape)
    )


def _generate(engine: Any, asked: Sequence[Any], sampling: Mapping[str, Any]) -> list[str]:
    return _texts(engine.generate(asked, _sampling(sampling), use_tqdm=False))


def _texts(outputs: Sequence[Any]) -> list[str]:
    return [output.outputs[0].text.strip() for output in outputs]
