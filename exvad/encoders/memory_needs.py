"""How much memory a frozen model needs, computed from its configuration without its weights.

The network is built on torch's meta device, where tensors have shapes but no content.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from exvad.encoders.clip import LOCAL_DIR, open_clip_name
from exvad.encoders.model_files import cached_folder, resolve_model

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.encoders.model_files import ModelKind

IMAGE_TOKENS = 1024  # of models whose configuration does not say it
# Per token and layer: the residual stream and its norm, queries, attention and output, and the
# gate, the input and the output of the feed-forward network exist at once.
HIDDEN_COPIES, INNER_COPIES = 4, 3


@dataclass(frozen=True)
class ModelMemory:
    """Bytes that a model needs.

    Args:
        weights: all weights.
        cache_per_token: keys and values of all layers per token of a sequence.
        activations_per_token: activations of one layer per token of the prompts.
        tokens_per_image: tokens of the prompt that stand for an image.
        vision_per_image: activations of one layer of the vision encoder per image.
        longest_sequence: maximum tokens of a sequence; 0 if it is unknown.
    """

    weights: int
    cache_per_token: int = 0
    activations_per_token: int = 0
    tokens_per_image: int = 0
    vision_per_image: int = 0
    longest_sequence: int = 0

    def for_batch(self, sequences: int, prompt_tokens: int, new_tokens: int) -> int:
        """Return the bytes for generating in batches: weights, cache and activations.

        Args:
            sequences: sequences per batch.
            prompt_tokens: tokens of each prompt, without those of an image.
            new_tokens: maximum tokens of each output.
        """
        prompt_tokens += self.tokens_per_image
        per_sequence = self.cache_per_token * (prompt_tokens + new_tokens)
        per_sequence += self.activations_per_token * prompt_tokens + self.vision_per_image
        return self.weights + sequences * per_sequence


def clip_memory(model_config: dict[str, Any], dtype: str) -> ModelMemory:
    """Return the memory of an open_clip model.

    Args:
        model_config: open_clip's `model_cfg`.
        dtype: `float32`, `float16` or `bfloat16`.

    Raises:
        ValueError: the configuration describes no network that can be built here.
    """
    import torch
    from open_clip.model import CLIP

    settings = {name: value for name, value in model_config.items() if name != "custom_text"}
    try:
        with torch.device("meta"):
            network = CLIP(**settings)
    except (TypeError, KeyError, RuntimeError, AttributeError) as error:
        raise ValueError(f"open_clip builds no CLIP of this configuration: {error}") from None
    item = torch.finfo(getattr(torch, dtype)).bits // 8
    vision = model_config["vision_cfg"]
    width = int(vision.get("width", 768))
    tokens = _patches(vision.get("image_size", 224), vision.get("patch_size", 16)) + 1
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return ModelMemory(
        parameters * item, vision_per_image=_activations(width, 4 * width, item) * tokens
    )


def transformers_memory(
    config: Any, kind: Literal["captioner", "llm"], dtype: str = "auto"
) -> ModelMemory:
    """Return the memory of a transformers model.

    Args:
        config: its `PretrainedConfig`.
        kind: whether the model describes images or only continues text.
        dtype: `float32`, `float16`, `bfloat16`, or `auto` for half precision of the kind that the
            checkpoint was written in.

    Raises:
        ValueError: the configuration is of another kind of model, or quantised.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    if getattr(config, "quantization_config", None):
        raise ValueError("the weights are quantised")
    auto_class = AutoModelForImageTextToText if kind == "captioner" else AutoModelForCausalLM
    with torch.device("meta"):
        network = auto_class.from_config(config)
    checkpoint_dtype = getattr(config, "dtype", None)
    half = torch.bfloat16 if checkpoint_dtype == torch.bfloat16 else torch.float16
    kind_of_number = half if dtype == "auto" else getattr(torch, dtype)
    item = torch.finfo(kind_of_number).bits // 8
    text = config.get_text_config(decoder=True)
    cache, activations = _per_token(text, item)
    tokens, vision = _per_image(config, item) if kind == "captioner" else (0, 0)
    longest = int(getattr(text, "max_position_embeddings", 0) or 0)
    return ModelMemory(
        _weights(network, kind_of_number), cache, activations, tokens, vision, longest
    )


def local_config(path: str | Path) -> Any:
    """Return the transformers configuration in a folder.

    Raises:
        ValueError: it can't be read, or describes a model that transformers does not know.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(str(path), local_files_only=True)
    except (OSError, KeyError) as error:
        raise ValueError(f"{path} holds no configuration: {str(error).splitlines()[0]}") from None


def model_memory(config: Config, kind: ModelKind, uses_gpu: bool) -> ModelMemory:
    """Return the memory of a model.

    Args:
        config: the models.
        kind: which of them.
        uses_gpu: whether it runs on a GPU.

    Raises:
        ValueError: its configuration is not on this machine, or can't be used.
    """
    if kind == "clip":
        dtype = config.clip.dtype
        half = "float16" if uses_gpu else "float32"
        return clip_memory(_clip_config(config.clip.model), half if dtype == "auto" else dtype)
    section = config.captioner if kind == "captioner" else config.llm
    location: str | Path | None = resolve_model(section.model)
    if not Path(str(location)).is_dir():
        location = cached_folder(str(location), "config.json")
    if location is None:
        raise ValueError(f"no configuration of {section.model} is on this machine yet")
    dtype = section.dtype if uses_gpu or section.dtype != "auto" else "float32"
    try:
        return transformers_memory(local_config(location), kind, dtype)
    except ValueError as error:
        raise ValueError(f"{section.model}: {str(error).splitlines()[0]}") from None


def _clip_config(model: str) -> dict[str, object]:
    """Return open_clip's `model_cfg` of a configured model.

    Raises:
        ValueError: there is none on this machine.
    """
    import open_clip

    name = open_clip_name(model)
    if not name.startswith(LOCAL_DIR):
        settings = open_clip.get_model_config(name)
    else:
        file = Path(name.removeprefix(LOCAL_DIR)) / "open_clip_config.json"
        settings = json.loads(file.read_bytes()).get("model_cfg") if file.is_file() else None
    if not settings:
        raise ValueError(f"no configuration of {model} is on this machine")
    return dict(settings)


def _weights(network: Any, dtype: Any) -> int:
    """Return the bytes of all weights; transformers keeps some of them in float32."""
    import torch

    exact: set[str] = set(getattr(network, "_keep_in_fp32_modules_strict", None) or ())
    if dtype == torch.float16:
        exact |= set(getattr(network, "_keep_in_fp32_modules", None) or ())
    item, full_item = torch.finfo(dtype).bits // 8, 4
    return sum(
        parameter.numel() * (full_item if exact & set(name.split(".")) else item)
        for name, parameter in network.named_parameters()
    )


def _per_token(text: Any, item: int) -> tuple[int, int]:
    """Return the bytes of the cache of all layers and of one layer's activations per token."""
    hidden = int(getattr(text, "hidden_size", 0) or 0)
    heads = int(getattr(text, "num_attention_heads", 0) or 1)
    cached_heads = int(getattr(text, "num_key_value_heads", None) or heads)
    head_width = int(getattr(text, "head_dim", None) or hidden // heads)
    layers = int(getattr(text, "num_hidden_layers", 0) or 0)
    names = ("intermediate_size", "ffn_dim", "d_ff")
    inner = next((int(getattr(text, name)) for name in names if getattr(text, name, None)), 0)
    return 2 * layers * cached_heads * head_width * item, _activations(hidden, inner, item)


def _per_image(config: Any, item: int) -> tuple[int, int]:
    """Return the tokens of an image in the prompt, and the bytes of its activations."""
    tokens = getattr(config, "num_query_tokens", None) or getattr(config, "image_seq_length", None)
    vision = getattr(config, "vision_config", None)
    width, size = getattr(vision, "hidden_size", 0) or 0, getattr(vision, "image_size", 0) or 0
    patches = _patches(size, getattr(vision, "patch_size", 0)) if width and size else 0
    inner = getattr(vision, "intermediate_size", None) or 4 * width
    return int(tokens or IMAGE_TOKENS), patches * _activations(width, inner, item)


def _patches(size: Any, patch: Any) -> int:
    sides = size if isinstance(size, list | tuple) else (size, size)
    side = patch[0] if isinstance(patch, list | tuple) else patch
    return int(sides[0] // side) * int(sides[1] // side) if side else 0


def _activations(hidden: int, inner: int, item: int) -> int:
    return (HIDDEN_COPIES * hidden + INNER_COPIES * inner) * item
