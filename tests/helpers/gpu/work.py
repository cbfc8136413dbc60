"""Work for the language model: prompts of a given length."""

from __future__ import annotations

from typing import Any

from exvad.encoders.chat import tokenize_prompts

TEXT = "a person walks down a street at night and a car drives past the house"


def make_prompt(tokenizer: Any, tokens: int, number: int) -> str:
    """Return a prompt of about this many tokens, with its chat template.

    Args:
        tokenizer: of the model.
        tokens: length of the prompt; it may be up to a word longer.
        number: another number, another prompt.
    """
    text = TEXT.split()
    words = [str(number)]
    (length,) = map(len, tokenize_prompts(tokenizer, [" ".join(words)]))
    while length < tokens:
        missing = max(1, (tokens - length) // 8)
        words += [text[(number + len(words) + step) % len(text)] for step in range(missing)]
        (length,) = map(len, tokenize_prompts(tokenizer, [" ".join(words)]))
    return " ".join(words)
