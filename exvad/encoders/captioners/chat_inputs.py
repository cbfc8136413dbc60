"""Frames in chat messages, for vision-language models with a chat template.

f frames of a clip · H, W pixels
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_CAPTION_PROMPT = "Describe in one sentence what happens in this picture."
DEFAULT_CLIP_PROMPT = "Describe in one sentence what happens in these frames of a video."


def caption_prompt(prompt: str, num_frames: int) -> str:
    """Return P_C for a message with frames; a default one if it is empty."""
    return prompt or (DEFAULT_CAPTION_PROMPT if num_frames == 1 else DEFAULT_CLIP_PROMPT)


def has_chat_template(processor: Any) -> bool:
    """Return whether a model takes frames in chat messages, which its processor shows."""
    return bool(getattr(processor, "chat_template", None))


def chat_inputs(processor: Any, clips: Sequence[NDArray[np.uint8]], prompt: str) -> Any:
    """Return the model input of clips, each of them the user's message of a chat.

    Prompts of different lengths are padded on the left, where generation does not see it.

    Args:
        processor: of a model with a chat template.
        clips: RGB frames, uint8 [f, H, W, 3] each.
        prompt: P_C, or empty.

    Returns:
        The processor's batch of torch tensors.
    """
    chats = []
    for clip_fHWC in clips:
        images = [{"type": "image", "image": Image.fromarray(frame)} for frame in clip_fHWC]
        chats.append(_chat(images, caption_prompt(prompt, len(clip_fHWC))))
    processor.tokenizer.padding_side = "left"
    return _apply_template(processor, chats, tokenize=True, return_dict=True, return_tensors="pt")


def chat_prompt(processor: Any, prompt: str, num_frames: int) -> str:
    """Return the text of a chat in which the user shows frames, as the chat template writes it.

    Args:
        processor: of a model with a chat template.
        prompt: P_C, or empty.
        num_frames: number of frames; the text has one placeholder for each.
    """
    chat = _chat([{"type": "image"}] * num_frames, caption_prompt(prompt, num_frames))
    text: str = _apply_template(processor, chat, tokenize=False)
    return text


def chat_prompt_tokens(processor: Any, prompt: str, num_frames: int) -> list[int]:
    """Return the token ids of `chat_prompt`, with one begin token whoever writes it.

    A placeholder is one token; vLLM expands it to the size of the frame.

    Args:
        processor: of a model with a chat template.
        prompt: P_C, or empty.
        num_frames: number of frames.
    """
    text, tokenizer = chat_prompt(processor, prompt, num_frames), processor.tokenizer
    template_begins = bool(tokenizer.bos_token) and text.startswith(tokenizer.bos_token)
    return list(tokenizer(text, add_special_tokens=not template_begins)["input_ids"])


def image_message(prompt: str, clip_fHWC: NDArray[np.uint8]) -> dict[str, Any]:
    """Return the user's message of the OpenAI API with frames, as JPEG, and a prompt.

    Args:
        prompt: P_C, or empty.
        clip_fHWC: RGB frames, uint8 [f, H, W, 3].
    """
    images = []
    for frame_HWC in clip_fHWC:
        buffer = io.BytesIO()
        Image.fromarray(frame_HWC).save(buffer, "JPEG", quality=90)
        url = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
        images.append({"type": "image_url", "image_url": {"url": url}})
    (message,) = _chat(images, caption_prompt(prompt, len(images)))
    return message


def _chat(images: Sequence[dict[str, Any]], prompt: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [*images, {"type": "text", "text": prompt}]}]


def _apply_template(processor: Any, chats: Any, **options: Any) -> Any:
    """Apply the chat template of a model, with its thinking switched off where it can be."""
    if "enable_thinking" in str(processor.chat_template):
        options["enable_thinking"] = False
    return processor.apply_chat_template(
        chats, add_generation_prompt=True, processor_kwargs={"padding": True}, **options
    )
