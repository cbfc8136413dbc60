"""Load the frozen models a configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.encoders import Captioner, LanguageModel
    from exvad.encoders.clip import ClipEncoder


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
    return TransformersCaptioner(
        captioner.model,
        captioner.prompt,
        config.device,
        captioner.dtype,
        captioner.batch_size,
        captioner.max_new_tokens,
    )


def load_llm(config: Config, max_new_tokens: int | None = None) -> LanguageModel:
    """Load the language model; `max_new_tokens` overrides the configured length of answers.

    Raises:
        ModelUnavailableError: its checkpoint can't be found.
    """
    from exvad.encoders.llm import TransformersLLM

    llm = config.llm
    length = max_new_tokens or llm.max_new_tokens
    if llm.backend == "openai":
        from exvad.encoders.endpoint import ChatEndpoint, EndpointLLM

        return EndpointLLM(ChatEndpoint(llm.model, llm.endpoint, length))
    return TransformersLLM(llm.model, config.device, llm.dtype, llm.batch_size, length)
