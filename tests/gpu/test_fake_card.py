"""The full models on a pretended card: tensors with devices, types and shapes but no content.

An operation on tensors of two devices, or of a type that has no kernel, fails here as on a card.

N frames or prompts · L tokens
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.model import CLIP
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers.initialization import no_init_weights

from exvad.encoders.image_preprocessing import Preprocessing
from tests.helpers.gpu.configurations import clip_config
from tests.helpers.gpu.models import build, build_blip2, build_llama
from tests.helpers.gpu.parity import FRAME_SIZES

CARD = "cuda"
PREPROCESSING = Preprocessing(
    224, 224, OPENAI_DATASET_MEAN, OPENAI_DATASET_STD, "shortest", "bicubic"
)


@pytest.fixture(autouse=True)
def pretended_card() -> Iterator[None]:
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def on_card(tensor: torch.Tensor) -> torch.Tensor:
    """Check that a tensor is on the card; return it."""
    assert tensor.device.type == CARD
    return tensor


@pytest.mark.parametrize("size", FRAME_SIZES)
def test_full_clip_encodes_frames_and_texts(size: tuple[int, int]) -> None:
    network = build(lambda: CLIP(**clip_config("full")), CARD)
    frames_NHWC = np.zeros((2, size[1], size[0], 3), np.uint8)
    pixels_NCHW = on_card(PREPROCESSING(frames_NHWC, torch.device(CARD)))
    with torch.inference_mode():
        assert on_card(network.encode_image(pixels_NCHW)).shape == (2, 512)
        tokens_NL = torch.zeros((2, 77), dtype=torch.long, device=CARD)
        assert on_card(network.encode_text(tokens_NL)).shape == (2, 512)


def test_full_llama_answers_a_padded_batch() -> None:
    network = build_llama("full", 0, CARD)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16}
    ids_NL = torch.zeros((2, 9), dtype=torch.long, device=CARD)
    with torch.inference_mode():
        output = network(input_ids=ids_NL, attention_mask=torch.ones_like(ids_NL), use_cache=False)
    assert on_card(output.logits).shape == (2, 9, 128_256)


def test_full_blip2_describes_frames() -> None:
    with no_init_weights():  # drawing the weights depends on the values that were drawn
        network = build_blip2("full", 0, CARD)
    frames = torch.zeros((2, 3, 224, 224), dtype=torch.float16, device=CARD)
    ids_NL = torch.zeros((2, 33), dtype=torch.long, device=CARD)
    with torch.inference_mode():
        vision = network.vision_model(frames).last_hidden_state
        queries = network.query_tokens.expand(2, -1, -1)
        bridge = network.qformer(query_embeds=queries, encoder_hidden_states=vision)
        visible = network.language_projection(bridge.last_hidden_state)
        assert on_card(visible).shape == (2, 32, 2560)
        text = network.language_model(
            input_ids=ids_NL, attention_mask=torch.ones_like(ids_NL), use_cache=False
        )
    assert on_card(text.logits).shape == (2, 33, 50_304)
