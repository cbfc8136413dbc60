"""Initial weights of the image encoder in the demo's BLIP-2: those of CLIP, as in the real one."""

from __future__ import annotations

import torch
from transformers import Blip2VisionModel

_LAYER_NAMES = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.in_proj_": "self_attn.qkv.",
    "attn.out_proj": "self_attn.projection",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def copy_vision_weights(vision: Blip2VisionModel, clip: dict[str, torch.Tensor]) -> None:
    """Copy CLIP's image encoder into BLIP-2's, which then computes the same features.

    Args:
        vision: BLIP-2's vision model, of the same sizes, with layer-norm epsilon 1e-5.
        clip: an open_clip state dict of a ViT without the first layer norm.
    """
    width = clip["visual.class_embedding"].numel()
    weights = {
        "embeddings.class_embedding": clip["visual.class_embedding"].view(1, 1, -1),
        "embeddings.position_embedding": clip["visual.positional_embedding"].unsqueeze(0),
        "embeddings.patch_embedding.weight": clip["visual.conv1.weight"],
        "embeddings.patch_embedding.bias": torch.zeros(width),
        "post_layernorm.weight": clip["visual.ln_post.weight"],
        "post_layernorm.bias": clip["visual.ln_post.bias"],
    }
    prefix = "visual.transformer.resblocks."
    for name, value in clip.items():
        if name.startswith(prefix):
            layer_name = name.removeprefix(prefix)
            for clip_name, blip_name in _LAYER_NAMES.items():
                layer_name = layer_name.replace(clip_name, blip_name)
            weights[f"encoder.layers.{layer_name}"] = value
    vision.load_state_dict({name: value.float() for name, value in weights.items()})
