"""Half precision on the card beside float32 on the CPU, with the same weights and inputs.

N frames or prompts · V size of the vocabulary
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exvad.encoders.captioners.transformers_captioner import TransformersCaptioner
from exvad.encoders.clip import ClipEncoder
from exvad.encoders.llm import TransformersLLM
from tests.helpers.gpu.lane import Lane
from tests.helpers.gpu.models import Models
from tests.helpers.gpu.parity import (
    FRAME_SIZES,
    answer_logits,
    caption_logits,
    cosines,
    relative_error,
    smooth_frames,
)
from tests.helpers.gpu.record import Record

# Largest error of the logits relative to their spread. On a CPU, two layers of BLIP-2's full width
# had 0.0008 in float16 and 0.010 in bfloat16; another frame changed them by 0.11.
HALF_ERROR = {torch.float16: 0.005, torch.bfloat16: 0.03}
CLIP_COSINE = 0.999
PIXEL = 2 / 255  # bicubic weights differ between the kernels of the CPU and of the card
TEXTS = ["a person walks", "two people are fighting in a parking lot at night", "a " * 200]
PROMPTS = [
    "why?",
    "what happens in this picture?",
    "Describe in one sentence what happens in this picture. " * 8,
]


@pytest.fixture
def encoders(lane: Lane, models: Models) -> tuple[ClipEncoder, ClipEncoder]:
    """The same CLIP exactly, and in half precision on the device of the lane."""
    name = f"local-dir:{models.folder('clip')}"
    return ClipEncoder(name, device="cpu", dtype="float32"), ClipEncoder(
        name, device=lane.device, dtype="float16"
    )


@pytest.mark.parametrize("size", FRAME_SIZES)
def test_resized_frames_equal_those_of_the_cpu(
    encoders: tuple[ClipEncoder, ClipEncoder], record: Record, size: tuple[int, int]
) -> None:
    exact, half = encoders
    frames = smooth_frames(4, size)
    left = exact.preprocess(frames, exact.device)
    right = half.preprocess(frames, half.device)
    assert right.device.type == record.lane.device
    std = torch.tensor(exact.preprocess.std).view(1, 3, 1, 1)
    error = float(((left - right.cpu()) * std).abs().max())
    record.add(f"resize_error_{size[0]}x{size[1]}", error * 255)
    assert error <= PIXEL + 1e-6


@pytest.mark.parametrize("size", FRAME_SIZES)
def test_clip_image_features_equal_those_of_the_cpu(
    encoders: tuple[ClipEncoder, ClipEncoder], record: Record, size: tuple[int, int]
) -> None:
    exact, half = encoders
    frames = smooth_frames(4, size)
    agreement = cosines(exact.encode_images(frames), half.encode_images(frames)).min()
    record.add(f"clip_image_cosine_{size[0]}x{size[1]}", float(agreement), 7)
    assert agreement > CLIP_COSINE


def test_clip_text_features_equal_those_of_the_cpu(
    encoders: tuple[ClipEncoder, ClipEncoder], record: Record
) -> None:
    exact, half = encoders
    features = exact.encode_texts(TEXTS)
    agreement = cosines(features, half.encode_texts(TEXTS)).min()
    record.add("clip_text_cosine", float(agreement), 7)
    assert agreement > CLIP_COSINE
    assert cosines(features[:1], features[1:2]).max() < CLIP_COSINE, "the texts differ"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_blip2_logits_equal_those_of_the_cpu_in_a_batch_and_alone(
    lane: Lane, models: Models, record: Record, dtype: torch.dtype
) -> None:
    name = str(dtype).removeprefix("torch.")
    folder = models.folder("blip2-shallow")
    exact = TransformersCaptioner(folder, device="cpu", dtype="float32")
    half = TransformersCaptioner(folder, device=lane.device, dtype=name)
    frames = smooth_frames(4, FRAME_SIZES[0])
    for prompt in ("", "what happens?"):
        expected_NV = caption_logits(exact, frames, prompt)
        batch_NV = caption_logits(half, frames, prompt)
        alone_NV = torch.cat([caption_logits(half, frame[None], prompt) for frame in frames])
        errors = {
            "cpu": relative_error(batch_NV, expected_NV),
            "alone": relative_error(batch_NV, alone_NV),
        }
        for against, error in errors.items():
            asked = "_with_prompt" if prompt else ""
            record.add(f"blip2_{name}_error_to_{against}{asked}", error)
        assert max(errors.values()) < HALF_ERROR[dtype]
        between_frames = relative_error(expected_NV[:1], expected_NV[1:2])
        assert between_frames > 3 * max(errors.values()), "the frames make a difference"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_llama_logits_equal_those_of_the_cpu_padded_and_alone(
    lane: Lane, models: Models, record: Record, dtype: torch.dtype
) -> None:
    name = str(dtype).removeprefix("torch.")
    folder = models.folder("llama-shallow")
    exact = TransformersLLM(folder, device="cpu", dtype="float32")
    expected_NV = answer_logits(exact, PROMPTS)
    exact_alone_NV = torch.cat([answer_logits(exact, [prompt]) for prompt in PROMPTS])
    del exact
    half = TransformersLLM(folder, device=lane.device, dtype=name)
    padded_NV = answer_logits(half, PROMPTS)
    alone_NV = torch.cat([answer_logits(half, [prompt]) for prompt in PROMPTS])
    errors = {
        "cpu": relative_error(padded_NV, expected_NV),
        "alone": relative_error(padded_NV, alone_NV),
    }
    for against, error in errors.items():
        record.add(f"llama_{name}_error_to_{against}", error)
    assert relative_error(expected_NV, exact_alone_NV) < 1e-4, "padding changes nothing in float32"
    assert max(errors.values()) < HALF_ERROR[dtype]
    between_prompts = relative_error(expected_NV[:1], expected_NV[1:2])
    assert between_prompts > 3 * max(errors.values()), "the prompts make a difference"


def test_automatic_precision_is_that_of_the_checkpoint_on_a_card(
    lane: Lane, models: Models
) -> None:
    half = lane.device == "cuda"
    captioner = TransformersCaptioner(models.folder("blip2-shallow"), device=lane.device)
    assert captioner.dtype == (torch.float16 if half else torch.float32)
    llm = TransformersLLM(models.folder("llama-shallow"), device=lane.device, max_new_tokens=2)
    assert llm.network.dtype == (torch.bfloat16 if half else torch.float32)
    encoder = ClipEncoder(f"local-dir:{models.folder('clip')}", device=lane.device)
    assert encoder.dtype == (torch.float16 if half else torch.float32)
    for network in (captioner.network, llm.network, encoder.network):
        assert {parameter.device.type for parameter in network.parameters()} == {lane.device}
    assert np.isfinite(encoder.encode_texts(TEXTS)).all()


def test_relative_error_ignores_a_constant_and_counts_the_rest() -> None:
    exact_NV = torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    assert relative_error(exact_NV + 5, exact_NV) == pytest.approx(0, abs=1e-6)
    assert relative_error(1.1 * exact_NV, exact_NV) == pytest.approx(0.1, rel=1e-4)
