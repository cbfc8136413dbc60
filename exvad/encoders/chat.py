"""Prompts as model input: token ids and chat messages, the same for every backend."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from exvad.encoders.model_files import ModelUnavailableError, resolve_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_CAPTION_PROMPT = "Describe in one sentence what happens in this picture."


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


def tokenize_prompts(tokenizer: Any, prompts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each prompt, without padding."""
    texts, add_special_tokens = apply_chat_template(tokenizer, prompts)
    token_ids = tokenizer(texts, add_special_tokens=add_special_tokens)["input_ids"]
    return [list(prompt_ids) for prompt_ids in token_ids]


def image_message(prompt: str, frame_HWC: NDArray[np.uint8]) -> dict[str, Any]:
    """Return a user's chat message with a prompt and an RGB frame, the frame as JPEG.

    Args:
        prompt: the text.
        frame_HWC: uint8 [H, W, 3].
    """
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
