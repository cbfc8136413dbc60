"""Prompts of language models as token ids, the same for every backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exvad.encoders.answers import open_thoughts
from exvad.encoders.model_files import ModelUnavailableError, resolve_model


def load_tokenizer(model: str) -> Any:
    """Load the transformers tokenizer of a model.

    Args:
        model: hub name, folder, or `package:NAME`.

    Raises:
        ModelUnavailableError: the tokenizer cannot be found.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(resolve_model(model), padding_side="left")
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(model, error) from error


def apply_chat_template(tokenizer: Any, prompts: Sequence[str]) -> tuple[list[str], bool]:
    """Wrap each prompt as the user's message, if the tokenizer has a chat template.

    Returns:
        The texts, and whether the tokenizer must add its special tokens to them. A chat template
        writes the special tokens itself.
    """
    if not tokenizer.chat_template:
        return list(prompts), True
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    texts = tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
    return list(texts), False


def prompt_thoughts(tokenizer: Any) -> str:
    """Return the mark of thoughts that the chat template puts at the end of every prompt, or "".

    The model continues after the mark, so its answers belong to the mark.
    """
    texts, _ = apply_chat_template(tokenizer, ["prompt"])
    return open_thoughts(texts[0])


def tokenize_prompts(tokenizer: Any, prompts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each prompt, without padding."""
    texts, add_special_tokens = apply_chat_template(tokenizer, prompts)
    token_ids = tokenizer(texts, add_special_tokens=add_special_tokens)["input_ids"]
    return [list(prompt_ids) for prompt_ids in token_ids]
