"""Captioner by transformers: BLIP-2 and other image-to-text models, or a chat model.

N frames · f frames of a clip · H, W pixels
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from exvad.encoders.answers import Answer, open_thoughts
from exvad.encoders.batching import halve_on_oom, prepare_ahead
from exvad.encoders.captioners.captions import ClipsUnsupportedError, caption_texts
from exvad.encoders.captioners.chat_inputs import chat_inputs, chat_prompt, has_chat_template
from exvad.encoders.captioners.plain_inputs import (
    plain_inputs,
    reserve_image_tokens,
    without_prompt,
)
from exvad.encoders.devices import load_onto_device, resolve_device
from exvad.encoders.model_files import ModelUnavailableError, resolve_model
from exvad.encoders.protocols import ClipCaptioner

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def load_processor(model: str) -> Any:
    """Load the transformers processor of a model.

    Args:
        model: hub name, folder, or `package:NAME`.

    Raises:
        ModelUnavailableError: the processor cannot be found.
    """
    from transformers import AutoProcessor

    try:
        return AutoProcessor.from_pretrained(resolve_model(model))
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(model, error) from error


class TransformersCaptioner(ClipCaptioner):
    """A frozen transformers model that captions frames in batches, with greedy decoding.

    A model whose processor has a chat template gets the frames in a message of the user; it also
    captions clips of several frames.

    Args:
        model: hub name (`Salesforce/blip2-opt-2.7b`), folder, or `package:NAME`.
        prompt: P_C, the text given with each frame; empty for a plain caption, or for a default
            prompt in a chat.
        device: `auto` or a torch device.
        dtype: `auto`, `float32`, `float16` or `bfloat16`.
        batch_size: frames or clips per forward pass; fewer where a GPU has no memory for them.
        max_new_tokens: maximum length of a caption.
        frames: frames per caption that the caller needs, at least 1.

    Attributes:
        works_ahead: whether a thread prepares the next batch; a CPU needs its cores for this one.

    Raises:
        ModelUnavailableError: the checkpoint cannot be found.
        ClipsUnsupportedError: the model takes only one frame per caption.
    """

    def __init__(
        self,
        model: str,
        prompt: str = "",
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 16,
        max_new_tokens: int = 40,
        frames: int = 1,
    ) -> None:
        from transformers import AutoModelForImageTextToText

        self.model = model
        self.device = resolve_device(device)
        self.works_ahead = self.device.type == "cuda"
        self.prompt = prompt
        self.batch_size = batch_size
        self.max_new_tokens = max_new_tokens
        self.processor = load_processor(model)
        self._tokenizing = Lock()  # tokenizers refuse to work for two threads at once
        self.takes_chats = has_chat_template(self.processor)
        self._thoughts = ""  # the mark of thoughts that the template of a thinking model opens
        if self.takes_chats:
            self._thoughts = open_thoughts(chat_prompt(self.processor, prompt, frames))
        elif frames > 1:
            raise ClipsUnsupportedError(model, frames)
        try:
            self.network = load_onto_device(
                AutoModelForImageTextToText, resolve_model(model), dtype, self.device
            )
        except (OSError, ValueError) as error:
            raise ModelUnavailableError(model, error) from error
        # Not that of the first weight: transformers keeps parts of BLIP-2 in float32.
        self.dtype = self.network.config.dtype
        reserve_image_tokens(self.processor, self.network)

    def caption_clips(self, clips: Sequence[NDArray[np.uint8]]) -> list[str]:
        """Return one caption for each clip of consecutive RGB frames.

        Args:
            clips: uint8 [f, H, W, 3] each; f and the sizes of the clips may differ.

        Raises:
            ClipsUnsupportedError: a clip has several frames and the model takes only one.
            CaptionError: the model writes no caption for a clip.
        """
        return caption_texts(self.answer(clips, self.prompt), self.model)

    def answer(self, clips: Sequence[NDArray[np.uint8]], prompt: str) -> list[Answer]:
        """Return the model's answer to a prompt about each clip; see `ClipAnswerer.answer`.

        Raises:
            ClipsUnsupportedError: a clip has several frames and the model takes only one.
        """
        longest = max(map(len, clips), default=1)
        if longest > 1 and not self.takes_chats:
            raise ClipsUnsupportedError(self.model, longest)
        batches = (
            clips[start : start + self.batch_size]
            for start in range(0, len(clips), self.batch_size)
        )
        generated: list[list[int]] = []
        prepare = partial(self._prepare, prompt=prompt)
        for batch, inputs in prepare_ahead(prepare, batches, self.works_ahead):
            generate = partial(self._generate, whole=batch, inputs=inputs, prompt=prompt)
            generated += halve_on_oom(generate, batch)
        # Not after every batch: this would wait for the thread that prepares the next one.
        with self._tokenizing:
            texts = self.processor.batch_decode(generated, skip_special_tokens=True)
        return [Answer(self._thoughts + text) for text in texts]

    def _prepare(
        self, clips: Sequence[NDArray[np.uint8]], prompt: str
    ) -> tuple[Sequence[NDArray[np.uint8]], Any]:
        """Return a batch of clips, and the model input of it and of a prompt."""
        with self._tokenizing:
            if self.takes_chats:
                return clips, chat_inputs(self.processor, clips, prompt)
            frames = [clip_1HWC[0] for clip_1HWC in clips]
            return clips, plain_inputs(self.processor, self.network, frames, prompt)

    def _generate(
        self,
        clips: Sequence[NDArray[np.uint8]],
        whole: Sequence[NDArray[np.uint8]],
        inputs: Any,
        prompt: str,
    ) -> list[list[int]]:
        """Return the token ids of the captions of clips.

        Args:
            clips: a batch, or a part of one that did not fit into memory.
            whole: the batch.
            inputs: the model input of the batch.
            prompt: the prompt in it.
        """
        import torch

        if len(clips) < len(whole):
            _, inputs = self._prepare(clips, prompt)
        # A copy, because BLIP writes into its input.
        prompts = inputs["input_ids"].tolist() if "input_ids" in inputs else [[]] * len(clips)
        with torch.inference_mode():
            outputs = self.network.generate(
                **{name: self._on_device(value) for name, value in inputs.items()},
                max_new_tokens=self.max_new_tokens,
                do_sample=False,
            )
        return [
            without_prompt(output_ids, prompt_ids)
            for output_ids, prompt_ids in zip(outputs.tolist(), prompts, strict=True)
        ]

    def _on_device(self, value: Any) -> Any:
        """Move a tensor to the device of the weights; numbers with a point get their type, too."""
        import torch

        if not isinstance(value, torch.Tensor):
            return value
        return value.to(self.device, self.dtype if value.is_floating_point() else value.dtype)
