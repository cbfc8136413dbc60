"""P_C as token ids, for vLLM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exvad.encoders.answers import open_thoughts
from exvad.encoders.captioners.captions import ClipsUnsupportedError
from exvad.encoders.captioners.chat_inputs import (
    chat_prompt,
    chat_prompt_tokens,
    has_chat_template,
)
from exvad.encoders.captioners.plain_inputs import plain_prompt_tokens
from exvad.encoders.captioners.transformers_captioner import load_processor
from exvad.encoders.chat import load_tokenizer

if TYPE_CHECKING:
    from exvad.config import CaptionerConfig


@dataclass(frozen=True)
class PromptTokens:
    """The prompts of a captioner.

    Args:
        by_frames: token ids of P_C for 1 frame, for 2 frames, …
        thoughts: the mark of thoughts that the prompt ends with; empty for most models.
    """

    by_frames: list[list[int]]
    thoughts: str


def caption_prompt_tokens(captioner: CaptionerConfig) -> PromptTokens:
    """Return the prompts of a captioner for clips of up to `captioner.frames` frames.

    vLLM adds no special tokens to token ids. To a text it may add a second begin token.

    Raises:
        ModelUnavailableError: the processor or the tokenizer of the model cannot be found.
        ClipsUnsupportedError: `captioner.frames` exceeds 1 and the model has no chat template.
    """
    model, prompt = captioner.model, captioner.prompt
    processor = load_processor(model)
    if has_chat_template(processor):
        lengths = range(1, captioner.frames + 1)
        tokens = [chat_prompt_tokens(processor, prompt, length) for length in lengths]
        return PromptTokens(tokens, open_thoughts(chat_prompt(processor, prompt, 1)))
    if captioner.frames > 1:
        raise ClipsUnsupportedError(model, captioner.frames)
    return PromptTokens([plain_prompt_tokens(load_tokenizer(model), prompt)], "")
