"""Folders of the paper's frozen models with random weights, which are made on the device itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.model import CLIP
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    Blip2Processor,
    BlipImageProcessor,
)

from tests.helpers.gpu.configurations import Size, blip2_config, clip_config, llama_config
from tests.helpers.gpu.tokenizers import llama_tokenizer, opt_tokenizer

GIB = 2**30
FULL_GIB = {"clip": 0.3, "blip2": 7.3, "llama": 15.0, "blip2-shallow": 0.75, "llama-shallow": 3.0}
SHALLOW = 2  # layers, where results of two devices are compared


def write_clip(folder: Path, size: Size, layers: int, device: str) -> None:
    """Write a folder of open_clip with a CLIP of ViT-B/16's kind, in half precision."""
    config = clip_config(size, layers)
    folder.mkdir(parents=True)
    network = build(lambda: CLIP(**config), device)
    weights = {name: tensor.half().cpu() for name, tensor in network.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    preprocess = {
        "mean": OPENAI_DATASET_MEAN,
        "std": OPENAI_DATASET_STD,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    content = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(content))


def write_blip2(folder: Path, size: Size, layers: int, device: str) -> None:
    """Write a folder of transformers with a BLIP-2 of OPT-2.7b's kind, in float16."""
    network = build_blip2(size, layers, device)
    tokenizer = opt_tokenizer(size)
    side = network.config.vision_config.image_size
    Blip2Processor(
        BlipImageProcessor(size={"height": side, "width": side}), tokenizer, num_query_tokens=32
    ).save_pretrained(folder)
    write_transformers(folder, network, tokenizer)


def write_llama(folder: Path, size: Size, layers: int, device: str) -> None:
    """Write a folder of transformers with a Llama of 3.1-8B's kind, in bfloat16."""
    network = build_llama(size, layers, device)
    tokenizer = llama_tokenizer(size)
    tokenizer.save_pretrained(folder)
    write_transformers(folder, network, tokenizer)


def build_blip2(size: Size, layers: int, device: str) -> Any:
    """Build a BLIP-2 with random weights on a device."""
    config = blip2_config(size, layers)
    network = build(
        lambda: AutoModelForImageTextToText.from_config(config, dtype=torch.float16), device
    )
    # They are zero before training, and no caption would depend on its frame.
    network.query_tokens.normal_()
    return network


def build_llama(size: Size, layers: int, device: str) -> Any:
    """Build a Llama with random weights on a device."""
    config = llama_config(size, layers)
    return build(lambda: AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16), device)


def build(make: Callable[[], Any], device: str) -> Any:
    """Build a network with the same random weights every time, directly on a device."""
    torch.manual_seed(0)
    with torch.device(device):
        network = make()
    return network.eval().requires_grad_(False)


def write_transformers(folder: Path, network: Any, tokenizer: Any) -> None:
    """Write a network whose answers never end early and have visible text.

    Real ends would come at random steps, and two measurements would not compare.
    """
    # Llama's reserved tokens are added tokens, but none of those that the tokenizer has names for.
    hidden = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    hidden.add(tokenizer("\n", add_special_tokens=False)["input_ids"][0])
    for token, number in tokenizer.get_vocab().items():
        if not token.startswith("<unused") and not tokenizer.decode([number]).strip():
            hidden.add(number)
    # OPT has more ids than its tokenizer.
    hidden |= {*range(len(tokenizer), network.config.get_text_config().vocab_size)}
    # A logit of 0 is never the highest of thousands of random ones.
    text = getattr(network, "language_model", network)
    text.get_output_embeddings().weight[sorted(hidden)] = 0
    network.save_pretrained(folder)


WRITERS = {"clip": write_clip, "blip2": write_blip2, "llama": write_llama}


class Models:
    """The folders of the models of a lane; each is written when it is first needed.

    Args:
        root: the folder that contains them.
        size: full or miniature.
        device: where the weights are made.
    """

    def __init__(self, root: Path, size: Size, device: str) -> None:
        self.root, self.size, self.device = root, size, device

    def folder(self, name: str) -> str:
        """Return the folder of `clip`, `blip2`, `llama`, or of one of them with `-shallow`.

        Raises:
            pytest.skip.Exception: the card or the disk is too small for it.
        """
        folder = self.root / name
        if not folder.exists():
            self._check_room(name)
            kind, _, is_shallow = name.partition("-")
            WRITERS[kind](folder, self.size, SHALLOW if is_shallow else 0, self.device)
            if self.device == "cuda":
                torch.cuda.empty_cache()
        return str(folder)

    def delete(self) -> None:
        """Delete all folders; pytest would keep those of several sessions."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _check_room(self, name: str) -> None:
        if self.size == "miniature":
            return
        needed = FULL_GIB.get(name, 0.3)
        card = torch.cuda.get_device_properties(0).total_memory / GIB
        if card < 1.2 * needed:
            pytest.skip(f"{name} needs {needed} GiB, and the card has {card:.1f} GiB")
        disk = shutil.disk_usage(self.root).free / GIB
        if disk < 1.2 * needed:
            pytest.skip(f"{name} takes {needed} GiB, and {self.root} has {disk:.1f} GiB free")
