"""Captioner Φ_C of equation 1, by transformers: BLIP-2 or any other image-to-text checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exvad.encoders.devices import resolve_device, resolve_dtype
from exvad.encoders.model_files import ModelUnavailableError, resolve_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TransformersCaptioner:
    """A frozen transformers model that captions frames in batches, with greedy decoding.

    Args:
        model: hub name (`Salesforce/blip2-opt-2.7b`), folder, or `package:NAME`.
        prompt: P_C, the text given with each frame; empty for a plain caption.
        device: `auto` or a torch device.
        dtype: `auto`, `float32`, `float16` or `bfloat16`.
        batch_size: frames per forward pass.
        max_new_tokens: maximum length of a caption.

    Raises:
        ModelUnavailableError: the checkpoint cannot be found.
    """

    def __init__(
        self,
        model: str,
        prompt: str = "",
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 16,
        max_new_tokens: int = 40,
    ) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self.device = resolve_device(device)
        self.dtype = resolve_dtype(dtype, self.device)
        self.prompt = prompt
        self.batch_size = batch_size
        self.max_new_tokens = max_new_tokens
        try:
            path = resolve_model(model)
            self.processor = AutoProcessor.from_pretrained(path)
            network = AutoModelForImageTextToText.from_pretrained(path, dtype=self.dtype)
        except (OSError, ValueError) as error:
            raise ModelUnavailableError(model, error) from error
        self.network = network.to(self.device).eval().requires_grad_(False)

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Return one caption for each RGB frame of uint8 [N, H, W, 3]."""
        import torch

        captions: list[str] = []
        for start in range(0, len(frames), self.batch_size):
            batch = list(frames[start : start + self.batch_size])
            text = {"text": [self.prompt] * len(batch), "padding": True} if self.prompt else {}
            inputs = self.processor(images=batch, return_tensors="pt", **text).to(self.device)
            inputs["pixel_values"] = inputs["pixel_values"].to(self.dtype)
            with torch.inference_mode():
                tokens = self.network.generate(
                    **inputs, max_new_tokens=self.max_new_tokens, do_sample=False
                )
            texts = self.processor.batch_decode(tokens, skip_special_tokens=True)
            captions += [text.removeprefix(self.prompt).strip() for text in texts]
        return captions
