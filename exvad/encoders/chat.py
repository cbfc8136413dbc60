"""How a prompt becomes a model's tokens: the same whatever runs the model."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from exvad.encoders.devices import ModelUnavailableError, resolve_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ASKED = "Describe in one sentence what happens in this picture."


def load_tokenizer(model: str) -> Any:
    """Load the transformers tokenizer of a model.

    Args:
        model: hub name, folder, or `package:NAME`.

    Raises:
        ModelUnavailableError: it can't be found.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(resolve_model(model), padding_side="left")
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(model, error) from error


def as_turns(tokenizer: Any, prompts: Sequence[str]) -> tuple[list[str], bool]:
    """Make each prompt the user's turn, where the tokenizer brings a chat template.

    Returns:
        The texts, and whether the tokenizer has to add its special tokens to them: a template
        writes them itself.
    """
    if not tokenizer.chat_template:
        return list(prompts), True
    turns = [[{"role": "user", "content": prompt}] for prompt in prompts]
    texts = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return list(texts), False


def prompt_tokens(tokenizer: Any, prompts: Sequence[str]) -> list[list[int]]:
    """Return the tokens of each prompt, none padded."""
    texts, special = as_turns(tokenizer, prompts)
    tokens = tokenizer(texts, add_special_tokens=special)["input_ids"]
    return [list(own) for own in tokens]


def image_turn(prompt: str, frame_HWC: NDArray[np.uint8]) -> dict[str, Any]:
    """Return what is asked about an RGB picture as a user's turn of a chat."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame_HWC).save(buffer, "JPEG", quality=90)
    url = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return {
        "role": "user",
        "content": [
            {"type": "text", "text": prompt},
            {"type": "image_url", "image_url": {"url": url}},
        ],
    }
