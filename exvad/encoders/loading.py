"""Load the frozen models a configuration names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.encoders.clip import ClipEncoder
    from exvad.encoders.protocols import Captioner, LanguageModel


def load_clip(config: Config) -> ClipEncoder:
    """Load the image and text encoder.

    Raises:
        ModelUnavailableError: its weights can't be found.
    """
    from exvad.encoders.clip import ClipEncoder

    clip = config.clip
    return ClipEncoder(clip.model, clip.pretrained, config.device, clip.dtype, clip.batch_size)


def load_captioner(config: Config) -> Captioner:
    """Load the captioner.

    Raises:
        ModelUnavailableError: its checkpoint can't be found.
    """
    from exvad.encoders.captioner import TransformersCaptioner

    captioner = config.captioner
    if captioner.backend == "openai":
        from exvad.encoders.endpoint import ChatEndpoint, EndpointCaptioner

        endpoint = ChatEndpoint(captioner.model, captioner.endpoint, captioner.max_new_tokens)
        return EndpointCaptioner(endpoint, captioner.prompt)
    if captioner.backend == "vllm":
        from exvad.encoders.engine import EngineCaptioner

        return EngineCaptioner(captioner, config.device)
    return TransformersCaptioner(
        captioner.model,
        captioner.prompt,
        config.device,
        captioner.dtype,
        captioner.batch_size,
        captioner.max_new_tokens,
    )


def load_llm(
    config: Config,
    max_new_tokens: int | None = None,
    schema: Mapping[str, Any] | None = None,
) -> LanguageModel:
    """Load the language model.

    Args:
        config: which model, and what runs it.
        max_new_tokens: overrides the configured length of answers.
        schema: JSON schema of the answers, for backends that hold a model to one.

    Raises:
        ModelUnavailableError: its checkpoint can't be found.
    """
    from exvad.encoders.llm import TransformersLLM

    llm = config.llm
    length = max_new_tokens or llm.max_new_tokens
    if llm.backend == "openai":
        from exvad.encoders.endpoint import ChatEndpoint, EndpointLLM

        wanted = schema if llm.endpoint.json_schema else None
        return EndpointLLM(ChatEndpoint(llm.model, llm.endpoint, length, wanted))
    if llm.backend == "vllm":
        from exvad.encoders.engine import EngineLLM

        return EngineLLM(llm, config.device, length, schema if llm.structured else None)
    return TransformersLLM(llm.model, config.device, llm.dtype, llm.batch_size, length)


class LocalModels:
    """The frozen models a configuration names, in this process; each is loaded when first needed.

    Args:
        config: which models.
        schema: JSON schema that the language model's answers are held to, where its backend can.
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
