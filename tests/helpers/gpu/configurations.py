"""The paper's frozen models at full size and in miniature: configurations and special tokens.

A configuration names a model, its size, and how many layers it has. The special tokens of the full
size have the ids of the published checkpoints.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal

import open_clip
from transformers import Blip2Config, LlamaConfig, OPTConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

Size = Literal["full", "miniature"]

CLIP_NAME = "ViT-B-16-quickgelu"
LINE_BREAK = "Ċ"  # a byte-level tokenizer's spelling of "\n", with which captions of OPT end
LLAMA_SPECIAL = {
    "<|begin_of_text|>": 0,
    "<|end_of_text|>": 1,
    "<|finetune_right_pad_id|>": 4,
    "<|start_header_id|>": 6,
    "<|end_header_id|>": 7,
    "<|eom_id|>": 8,
    "<|eot_id|>": 9,
}
LLAMA_RESERVED = 256
FIRST_SPECIAL = {"full": 128_000, "miniature": 640}
IMAGE_TOKEN = {"full": 50_265, "miniature": 650}
LINE_BREAK_TOKEN = {"full": 50_118, "miniature": 640}
OPT_VOCABULARY = {"full": 50_304, "miniature": 656}


def clip_config(size: Size, layers: int = 0) -> dict[str, Any]:
    """Return open_clip's `model_cfg` of CLIP ViT-B/16.

    Args:
        size: of all widths.
        layers: of each tower; 0 for those of the model.
    """
    config: dict[str, Any] = copy.deepcopy(open_clip.get_model_config(CLIP_NAME))
    towers = config["vision_cfg"], config["text_cfg"]
    if size == "miniature":
        config["embed_dim"] = 32
        towers[0].update(width=64, image_size=64, layers=2)
        towers[1].update(width=64, heads=1, layers=2)
    for tower in towers:
        tower["layers"] = layers or tower["layers"]
    return config


def llama_config(size: Size, layers: int = 0) -> LlamaConfig:
    """Return the configuration of Llama-3.1-8B; see `clip_config`."""
    ids = llama_token_ids(size)
    ends = [ids[name] for name in ("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>")]
    widths = {
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    }
    if size == "miniature":
        widths = {
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
        }
    widths["num_hidden_layers"] = layers or widths["num_hidden_layers"]
    return LlamaConfig(
        **widths,
        vocab_size=FIRST_SPECIAL[size] + LLAMA_RESERVED,
        max_position_embeddings=131_072,
        rope_parameters={
            "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0,
            "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        bos_token_id=ids["<|begin_of_text|>"],
        eos_token_id=ends,
        pad_token_id=None,
        dtype="bfloat16",
    )  # fmt: skip


def blip2_config(size: Size, layers: int = 0) -> Blip2Config:
    """Return the configuration of BLIP-2 with OPT-2.7b; see `clip_config`."""
    text: dict[str, Any] = {
        "hidden_size": 2560, "ffn_dim": 10_240, "word_embed_proj_dim": 2560,
        "num_hidden_layers": layers or 32, "num_attention_heads": 32,
    }  # fmt: skip
    vision: dict[str, Any] = {"num_hidden_layers": layers or 39}  # the others are the defaults
    bridge: dict[str, Any] = {"num_hidden_layers": layers or 12}
    if size == "miniature":
        text = {
            "hidden_size": 64, "ffn_dim": 128, "word_embed_proj_dim": 64,
            "num_hidden_layers": layers or 2, "num_attention_heads": 4,
        }  # fmt: skip
        vision = {
            "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4,
            "num_hidden_layers": layers or 2, "image_size": 56, "patch_size": 14,
        }  # fmt: skip
        bridge = {
            "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4,
            "num_hidden_layers": layers or 2, "encoder_hidden_size": 64,
        }  # fmt: skip
    # The default, 1e-10, is for weights that are loaded: no caption would depend on its frame.
    vision["initializer_range"] = 0.02 if size == "full" else 0.2
    bridge["initializer_range"] = 0.02 if size == "full" else 0.2
    opt = OPTConfig(
        **text,
        vocab_size=OPT_VOCABULARY[size],
        max_position_embeddings=2048,
        bos_token_id=2,
        eos_token_id=LINE_BREAK_TOKEN[size],
        pad_token_id=1,
    )
    return Blip2Config(
        vision_config=vision,
        qformer_config=bridge,
        text_config=opt.to_dict(),
        num_query_tokens=32,
        image_token_index=IMAGE_TOKEN[size],
        dtype="float16",
    )


def llama_token_ids(size: Size) -> dict[str, int]:
    """Return the special tokens of Llama 3.1 with their ids, the reserved ones included."""
    first = FIRST_SPECIAL[size]
    named = {offset: name for name, offset in LLAMA_SPECIAL.items()}
    return {
        named.get(offset, f"<|reserved_special_token_{offset}|>"): first + offset
        for offset in range(LLAMA_RESERVED)
    }


def opt_token_ids(size: Size) -> Mapping[str, int]:
    """Return the special tokens of BLIP-2 with OPT and their ids."""
    return {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<image>": IMAGE_TOKEN[size]}
