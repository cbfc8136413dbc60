"""The memory of models without their weights, beside the published sizes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from open_clip import get_model_config
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    LlamaConfig,
)

from exvad.encoders.memory_needs import ModelMemory, clip_memory, local_config, transformers_memory
from exvad.encoders.model_files import resolve_model
from tests.helpers.paper_models import BLIP_2, LLAMA_8B

GIB = 2**30


def test_llama_8b_needs_15_gib_and_27_with_32_videos() -> None:
    memory = transformers_memory(LLAMA_8B, "llm")
    assert memory.weights / GIB == pytest.approx(14.96, abs=0.01)
    assert memory.cache_per_token == 2 * 32 * 8 * 128 * 2
    # 27.4 GiB by a run on fake tensors: 32 videos with 32 captions of 40 tokens.
    assert memory.for_batch(32, 32 * 40 + 200, 256) / GIB == pytest.approx(27.4, rel=0.05)


def test_blip_2_keeps_its_q_former_in_float32() -> None:
    memory = transformers_memory(BLIP_2, "captioner", "float16")
    assert memory.weights / GIB == pytest.approx(7.17, abs=0.01)
    assert memory.tokens_per_image == 32
    assert transformers_memory(BLIP_2, "captioner", "bfloat16").weights < memory.weights


def test_clip_vit_b_16_needs_a_quarter_of_a_gib() -> None:
    memory = clip_memory(get_model_config("ViT-B-16-quickgelu"), "float16")
    assert memory.weights / GIB == pytest.approx(0.28, abs=0.01)
    assert clip_memory(get_model_config("ViT-B-16"), "float32").weights == 2 * memory.weights


@pytest.mark.parametrize(
    ("kind", "auto_class"),
    [("llm", AutoModelForCausalLM), ("captioner", AutoModelForImageTextToText)],
)
def test_transformers_memory_is_that_of_the_loaded_model(kind: str, auto_class: type) -> None:
    folder = resolve_model(f"package:{kind}")
    network = auto_class.from_pretrained(folder, dtype=torch.float16)  # type: ignore[attr-defined]
    size = sum(parameter.nbytes for parameter in network.parameters())
    memory = transformers_memory(local_config(folder), kind, "float16")  # type: ignore[arg-type]
    assert memory.weights == size


def test_for_batch_adds_cache_and_activations_per_sequence() -> None:
    memory = ModelMemory(1000, 10, 3, tokens_per_image=2, vision_per_image=7)
    assert memory.for_batch(4, 5, 6) == 1000 + 4 * (10 * 13 + 3 * 7 + 7)


def test_memory_of_what_cannot_be_built_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="AutoModelForImageTextToText"):
        transformers_memory(LLAMA_8B, "captioner")
    with pytest.raises(ValueError, match="builds no CLIP"):
        clip_memory({"embed_dim": 8}, "float16")
    with pytest.raises(ValueError, match="config"):
        local_config(tmp_path)
    quantised = LlamaConfig(quantization_config={"quant_method": "fp8"})
    with pytest.raises(ValueError, match="quantised"):
        transformers_memory(quantised, "llm")
