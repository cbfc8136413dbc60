"""Load the frozen models that a configuration names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from exvad.encoders.captioners.endpoint_captioner import EndpointCaptioner
from exvad.encoders.captioners.engine_captioner import EngineCaptioner
from exvad.encoders.captioners.transformers_captioner import TransformersCaptioner
from exvad.encoders.clip import ClipEncoder
from exvad.encoders.endpoint import ChatEndpoint, EndpointLLM
from exvad.encoders.engine import EngineLLM
from exvad.encoders.llm import TransformersLLM

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.encoders.protocols import Captioner, LanguageModel


def load_clip(config: Config) -> ClipEncoder:
    """Load the image and text encoder.

    Raises:
        ModelUnavailableError: its weights cannot be found.
    """
    clip = config.clip
    return ClipEncoder(clip.model, clip.pretrained, config.device, clip.dtype, clip.batch_size)


def load_captioner(config: Config) -> Captioner:
    """Load the captioner.

    Raises:
        ModelUnavailableError: its checkpoint cannot be found.
        ClipsUnsupportedError: `captioner.frames` exceeds 1 and the model takes one frame only.
    """
    captioner = config.captioner
    if captioner.backend == "openai":
        endpoint = ChatEndpoint(captioner.model, captioner.endpoint, captioner.max_new_tokens)
        return EndpointCaptioner(endpoint, captioner.prompt)
    if captioner.backend == "vllm":
        return EngineCaptioner(captioner, config.device)
    return TransformersCaptioner(
        captioner.model,
        captioner.prompt,
        config.device,
        captioner.dtype,
        captioner.batch_size,
        captioner.max_new_tokens,
        captioner.frames,
    )


def load_llm(
    config: Config,
    max_new_tokens: int | None = None,
    schema: Mapping[str, Any] | None = None,
) -> LanguageModel:
    """Load the language model.

    Args:
        config: the model and its backend.
        max_new_tokens: maximum length of an answer; None for the configured one.
        schema: JSON schema of the answers, for backends that can constrain a model to it.

    Raises:
        ModelUnavailableError: its checkpoint cannot be found.
    """
    llm = config.llm
    length = max_new_tokens or llm.max_new_tokens
    if llm.backend == "openai":
        endpoint_schema = schema if llm.endpoint.json_schema else None
        return EndpointLLM(ChatEndpoint(llm.model, llm.endpoint, length, endpoint_schema))
    if llm.backend == "vllm":
        return EngineLLM(llm, config.device, length, schema if llm.structured else None)
    return TransformersLLM(
        llm.model, config.device, llm.dtype, llm.batch_size, length, llm.batch_tokens
    )


class LocalModels:
    """The frozen models of a configuration in this process, each loaded at its first use.

    Args:
        config: the models and their backends.
        schema: JSON schema of the language model's answers, for backends that can constrain a
            model to it.
    """

    def __init__(self, config: Config, schema: Mapping[str, Any] | None = None) -> None:
        self._config = config
        self._schema = schema

    @cached_property
    def clip(self) -> ClipEncoder:
        """The image and text encoder; see `load_clip`."""
        return load_clip(self._config)

    @cached_property
    def captioner(self) -> Captioner:
        """The captioner; see `load_captioner`."""
        return load_captioner(self._config)

    @cached_property
    def llm(self) -> LanguageModel:
        """The language model; see `load_llm`."""
        return load_llm(self._config, schema=self._schema)
