"""Frames as input of image-to-text models without a chat template: BLIP-2, BLIP, GIT and others.

N frames · H, W pixels
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DROPS_LAST_TOKEN = {"blip"}  # model types that drop the end token of a prompt themselves


def reserve_image_tokens(processor: Any, network: Any) -> None:
    """Set how many tokens of a prompt stand for the frame, if the folder does not say it.

    Folders of BLIP-2 from before transformers 4.46 lack it, and then the prompt has no place for
    the frame: all frames get the same caption. Models without such tokens stay as they are.

    Args:
        processor: the processor, changed in place.
        network: the model, changed in place.
    """
    config = network.config
    if not hasattr(processor, "num_query_tokens") or not hasattr(config, "num_query_tokens"):
        return
    if processor.num_query_tokens is None:
        processor.num_query_tokens = config.num_query_tokens
    image_token = processor.tokenizer.convert_tokens_to_ids(str(processor.image_token))
    if config.image_token_index is None:
        config.image_token_index = image_token
    if image_token >= network.get_input_embeddings().num_embeddings:
        network.resize_token_embeddings(image_token + 1)


def plain_inputs(
    processor: Any, network: Any, frames: Sequence[NDArray[np.uint8]], prompt: str
) -> Any:
    """Return the model input of frames.

    Args:
        processor: of a model without a chat template.
        network: the model.
        frames: N RGB frames, uint8 [H, W, 3] each.
        prompt: P_C, or empty.

    Returns:
        The processor's batch of torch tensors.
    """
    # Of an array, the processor takes a height of 1 or 3 for the channels.
    images = [Image.fromarray(frame) for frame in frames]
    if not prompt and not _needs_text(processor, network):
        return processor(images=images, return_tensors="pt")
    inputs = processor(
        images=images,
        text=[prompt] * len(images),
        padding=True,
        return_token_type_ids=False,
        return_tensors="pt",
    )
    config = network.config
    encodes_prompt = getattr(config.get_text_config(), "is_encoder_decoder", False)
    if not encodes_prompt and config.model_type not in _DROPS_LAST_TOKEN:
        kept = len(without_end_token(processor.tokenizer, inputs["input_ids"][0].tolist()))
        for name in ("input_ids", "attention_mask"):
            inputs[name] = inputs[name][:, :kept]
    return inputs


def plain_prompt_tokens(tokenizer: Any, prompt: str) -> list[int]:
    """Return the token ids of P_C for a captioner without a chat template."""
    if not prompt:
        return [tokenizer.bos_token_id]
    return without_end_token(tokenizer, list(tokenizer(prompt)["input_ids"]))


def without_end_token(tokenizer: Any, token_ids: list[int]) -> list[int]:
    """Return the token ids of a prompt that a model continues: without an end token after it.

    Some tokenizers add one to every text, and the caption would be empty.
    """
    ends = {tokenizer.eos_token_id, tokenizer.sep_token_id} - {None}
    return token_ids[:-1] if len(token_ids) > 1 and token_ids[-1] in ends else token_ids


def without_prompt(output_ids: list[int], prompt_ids: list[int]) -> list[int]:
    """Return the token ids that a model generated, without the prompt that some models return.

    Args:
        output_ids: what `generate` returned for one frame.
        prompt_ids: the prompt; empty if there was none.
    """
    if output_ids[: len(prompt_ids)] == prompt_ids:
        return output_ids[len(prompt_ids) :]
    # BLIP replaces the first token by its begin token and drops the end token.
    if len(prompt_ids) > 2 and output_ids[1 : len(prompt_ids) - 1] == prompt_ids[1:-1]:
        return output_ids[len(prompt_ids) - 1 :]
    return output_ids


def _needs_text(processor: Any, network: Any) -> bool:
    """Return whether a model of the BLIP-2 kind has no begin token to start a caption with."""
    text_config = network.config.get_text_config()
    has_image_tokens = hasattr(processor, "num_query_tokens")
    return has_image_tokens and getattr(text_config, "bos_token_id", None) is None
