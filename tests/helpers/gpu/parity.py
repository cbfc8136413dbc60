"""The same weights and inputs on two devices or in two batches, and how well the results agree.

N frames or prompts · H, W pixels · D feature width · V size of the vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from exvad.encoders.captioners.plain_inputs import plain_inputs
from exvad.encoders.captioners.transformers_captioner import TransformersCaptioner
from exvad.encoders.chat import tokenize_prompts
from exvad.encoders.llm import TransformersLLM

# Width and height: that of UCF-Crime, 16:9 at 256 pixels, and portrait.
FRAME_SIZES = ((320, 240), (455, 256), (240, 426))


def smooth_frames(count: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return RGB frames without hard edges, [N, H, W, 3], each of them another one.

    Args:
        count: N.
        size: W and H.
    """
    coarse = np.random.default_rng(sum(size)).integers(0, 256, (count, 6, 8, 3), np.uint8)
    resized = [Image.fromarray(one).resize(size, Image.Resampling.BICUBIC) for one in coarse]
    return np.stack([np.asarray(image) for image in resized])


def cosines(left_ND: NDArray[np.floating], right_ND: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the cosine of each pair of rows, [N]."""
    lengths = np.linalg.norm(left_ND, axis=1) * np.linalg.norm(right_ND, axis=1)
    product: NDArray[np.floating] = (left_ND * right_ND).sum(1) / lengths
    return product


def relative_error(logits_NV: torch.Tensor, exact_NV: torch.Tensor) -> float:
    """Return the largest error of a row, relative to the spread of the row.

    A constant on all logits of a row changes no probability and does not count.
    """
    centred_NV = logits_NV - logits_NV.mean(1, keepdim=True)
    exact_NV = exact_NV - exact_NV.mean(1, keepdim=True)
    return float(((centred_NV - exact_NV).norm(dim=1) / exact_NV.norm(dim=1)).max())


def answer_logits(llm: TransformersLLM, prompts: Sequence[str]) -> torch.Tensor:
    """Return the logits of the first token of each answer, float32 [N, V], of one padded batch."""
    token_ids = tokenize_prompts(llm.tokenizer, prompts)
    padded = llm.tokenizer.pad({"input_ids": token_ids}, return_tensors="pt")
    return _first_logits(llm.network, padded.to(llm.device), llm.tokenizer.pad_token_id)


def caption_logits(
    captioner: TransformersCaptioner, frames_NHWC: NDArray[np.uint8], prompt: str = ""
) -> torch.Tensor:
    """Return the logits of the first token of each caption, float32 [N, V], of one batch."""
    inputs = plain_inputs(captioner.processor, captioner.network, list(frames_NHWC), prompt)
    moved = {
        name: value.to(
            captioner.device, captioner.dtype if value.is_floating_point() else value.dtype
        )
        for name, value in inputs.items()
    }
    return _first_logits(captioner.network, moved, captioner.processor.tokenizer.pad_token_id)


def _first_logits(network: Any, inputs: Any, pad: int) -> torch.Tensor:
    with torch.inference_mode():
        output = network.generate(
            **inputs,
            max_new_tokens=1,
            do_sample=False,
            pad_token_id=pad,
            output_logits=True,
            return_dict_in_generate=True,
        )
    logits_NV: torch.Tensor = output.logits[0].float().cpu()
    return logits_NV
