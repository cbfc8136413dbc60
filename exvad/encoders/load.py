"""Load the frozen models a configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.encoders.captioner import TransformersCaptioner
    from exvad.encoders.clip import ClipEncoder
    from exvad.encoders.llm import TransformersLLM


def load_clip(config: Config) -> ClipEncoder:
    """Load the image and text encoder.

    Raises:
        ModelUnavailableError: its weights can't be found.
    """
    from exvad.encoders.clip import ClipEncoder

    clip = config.clip
    return ClipEncoder(clip.model, clip.pretrained, config.device, clip.dtype, clip.batch_size)


def load_captioner(config: Config) -> TransformersCaptioner:
    """Load the captioner.

    Raises:
        ModelUnavailableError: its checkpoint can't be found.
    """
    from exvad.encoders.captioner import TransformersCaptioner

    captioner = config.captioner
    return TransformersCaptioner(
        captioner.model,
        captioner.prompt,
        config.device,
        captioner.dtype,
        captioner.batch_size,
        captioner.max_new_tokens,
    )


def load_llm(config: Config, max_new_tokens: int | None = None) -> TransformersLLM:
    """Load the language model; `max_new_tokens` overrides the configured length of answers.

    Raises:
        ModelUnavailableError: its checkpoint can't be found.
    """
    from exvad.encoders.llm import TransformersLLM

    llm = config.llm
    length = max_new_tokens or llm.max_new_tokens
    return TransformersLLM(llm.model, config.device, llm.dtype, llm.batch_size, length)
