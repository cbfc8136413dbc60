"""Captioner by vLLM in this process, for one program on one machine, such as a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from exvad.encoders.captioners.captions import caption_texts
from exvad.encoders.captioners.prompt_tokens import PromptTokens, caption_prompt_tokens
from exvad.encoders.engine import generate, load_engine, sampling_parameters
from exvad.encoders.protocols import ClipCaptioner

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exvad.config import CaptionerConfig
    from exvad.encoders.answers import Answer


class EngineCaptioner(ClipCaptioner):
    """A frozen vision-language model that vLLM runs in this process, with greedy decoding.

    Args:
        captioner: the model and the settings of the engine; P_C is its `prompt`.
        device: `auto`, `cuda` or `cpu`.

    Raises:
        ModelUnavailableError: the checkpoint cannot be found, or vLLM is not installed.
        ClipsUnsupportedError: `captioner.frames` exceeds 1 and the model has no chat template.
    """

    def __init__(self, captioner: CaptionerConfig, device: str = "auto") -> None:
        self.model, self._captioner = captioner.model, captioner
        self.prompts = caption_prompt_tokens(captioner)
        self.engine = load_engine(captioner.model, captioner.engine, captioner.dtype, device)
        self.sampling = sampling_parameters(captioner.max_new_tokens)

    def caption_clips(self, clips: Sequence[NDArray[np.uint8]]) -> list[str]:
        """Return one caption for each clip of consecutive RGB frames.

        Args:
            clips: uint8 [f, H, W, 3] each, with 1 ≤ f ≤ `captioner.frames`.

        Raises:
            CaptionError: the model writes no caption for a clip.
        """
        return caption_texts(self._answer(clips, self.prompts), self.model)

    def answer(self, clips: Sequence[NDArray[np.uint8]], prompt: str) -> list[Answer]:
        """Return the model's answer to a prompt about each clip; see `ClipAnswerer.answer`."""
        asked = self._captioner.model_copy(update={"prompt": prompt})
        return self._answer(clips, caption_prompt_tokens(asked))

    def _answer(self, clips: Sequence[NDArray[np.uint8]], prompts: PromptTokens) -> list[Answer]:
        inputs = [
            {
                "prompt_token_ids": prompts.by_frames[len(clip_fHWC) - 1],
                "multi_modal_data": {"image": clip_images(clip_fHWC)},
            }
            for clip_fHWC in clips
        ]
        return [
            replace(answer, text=prompts.thoughts + answer.text)
            for answer in generate(self.engine, inputs, self.sampling)
        ]


def clip_images(clip_fHWC: NDArray[np.uint8]) -> list[Any]:
    """Return the frames of a clip, uint8 [f, H, W, 3], as images for vLLM."""
    return [Image.fromarray(frame_HWC) for frame_HWC in clip_fHWC]
