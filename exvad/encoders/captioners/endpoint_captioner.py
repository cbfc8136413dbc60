"""Captioner behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exvad.encoders.captioners.captions import caption_texts
from exvad.encoders.captioners.chat_inputs import image_message
from exvad.encoders.protocols import ClipCaptioner

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.encoders.answers import Answer
    from exvad.encoders.endpoint import ChatEndpoint


class EndpointCaptioner(ClipCaptioner):
    """A vision-language model behind a chat endpoint.

    Args:
        endpoint: the client.
        prompt: P_C, the text given with each frame or clip; empty for a default prompt.
    """

    def __init__(self, endpoint: ChatEndpoint, prompt: str) -> None:
        self.endpoint = endpoint
        self.prompt = prompt

    def caption_clips(self, clips: Sequence[NDArray[np.uint8]]) -> list[str]:
        """Return one caption for each clip of consecutive RGB frames.

        Args:
            clips: uint8 [f, H, W, 3] each.

        Raises:
            CaptionError: the model writes no caption for a clip.
        """
        return caption_texts(self.answer(clips, self.prompt), self.endpoint.model)

    def answer(self, clips: Sequence[NDArray[np.uint8]], prompt: str) -> list[Answer]:
        """Return the model's answer to a prompt about each clip; see `ClipAnswerer.answer`."""
        return self.endpoint.chat([[image_message(prompt, clip)] for clip in clips])
