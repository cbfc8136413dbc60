"""Train the demo's CLIP, a small ViT and text transformer, contrastively on demo-world frames.

B frames of a batch · P patches · H, W pixels · C color channels · D feature width
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import distributed
from torch.nn import functional as F

from exvad.data.world.activities import NORMAL
from exvad.data.world.language import PHRASES, REASONS
from exvad.laam.label_vectors import TEMPLATE
from exvad.laam.phrases import readable_label
from scripts.demo_models.frames import SIDE, Frames
from scripts.demo_models.grounding import Grounding
from scripts.demo_models.schedule import set_learning_rate
from scripts.demo_models.workers import WORKERS, averaged_step

BATCH = 96
CONTEXT = 32
GROUNDING_WEIGHT = 1.0


def config(vocab_size: int) -> dict[str, Any]:
    """Return the open_clip configuration of the model."""
    return {
        "model_cfg": {
            "embed_dim": 128,
            "vision_cfg": {
                "image_size": SIDE,
                "layers": 4,
                "width": 160,
                "head_width": 32,
                "mlp_ratio": 3.0,
                "patch_size": 12,
                "no_ln_pre": True,
            },
            "text_cfg": {
                "context_length": CONTEXT,
                "vocab_size": vocab_size,
                "width": 128,
                "heads": 4,
                "layers": 3,
                "pool_type": "eos",
                "eos_id": 2,
                "pad_id": 0,
                "hf_tokenizer_name": ".",
            },
        },
        "preprocess_cfg": {
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "interpolation": "bicubic",
            "resize_mode": "squash",
        },
    }


def sample_text(caption: str, label: str, rng: np.random.Generator) -> str:
    """Draw a text about a frame, of one of the kinds that the detector encodes.

    Args:
        caption: true caption of the frame.
        label: its class.
        rng: draws the kind: caption, label phrase, class name or explanation.
    """
    draw = rng.random()
    if draw < 0.5:
        return caption
    if draw < 0.78:
        return str(rng.choice(PHRASES[label]))
    if draw < 0.88 and label != NORMAL:
        name = readable_label(label)
        return name if rng.random() < 0.5 else TEMPLATE.format(label=name)
    return REASONS[label] if draw < 0.94 else f"{caption}."


def normalise(frames_BHWC: NDArray[np.uint8]) -> torch.Tensor:
    """Return frames as the model's preprocessing does, float32 [B, C, H, W], -1 to 1."""
    return torch.from_numpy(frames_BHWC).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def contrastive_loss(
    image_BD: torch.Tensor, text_BD: torch.Tensor, texts: list[str], scale: torch.Tensor
) -> torch.Tensor:
    """Return the symmetric InfoNCE loss, in which frames with equal texts are all positives."""
    logits_BB = scale * image_BD @ text_BD.T
    text_ids = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    ids_B = torch.tensor([text_ids[text] for text in texts])
    same_BB = (ids_B[:, None] == ids_B[None, :]).float()
    target_BB = same_BB / same_BB.sum(1, keepdim=True)
    return (F.cross_entropy(logits_BB, target_BB) + F.cross_entropy(logits_BB.T, target_BB)) / 2


def train(rank: int, frames: Frames, folder: Path, vocab_size: int, steps: int, seed: int) -> None:
    """Train in one of the workers; the first one writes the model into `folder`.

    Args:
        rank: index of the worker.
        frames: what to train on.
        folder: has the tokenizer.
        vocab_size: of the tokenizer.
        steps: number of steps.
        seed: of weights and batches.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, rank])
    settings = config(vocab_size)
    folder.mkdir(parents=True, exist_ok=True)
    if rank == 0:
        (folder / "open_clip_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    distributed.barrier()
    tokenize = open_clip.get_tokenizer(f"local-dir:{folder}")
    cfg = settings["model_cfg"]
    model = open_clip.CLIP(cfg["embed_dim"], cfg["vision_cfg"], cfg["text_cfg"])
    model.visual.output_tokens = True
    grounding = Grounding(cfg["vision_cfg"]["width"], SIDE // cfg["vision_cfg"]["patch_size"])
    parameters = [*model.parameters(), *grounding.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.05)
    start = time.monotonic()
    for step in range(steps):
        set_learning_rate(optimizer, 1e-3, step, steps)
        indices = frames.sample(rng, BATCH)
        texts = [sample_text(frames.captions[i], frames.labels[i], rng) for i in indices]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            image_BD, patches_BPD = model.visual(normalise(frames.images[indices]))
            image_BD = F.normalize(image_BD, dim=-1)
            grounding_loss = grounding(patches_BPD, frames, indices)
            text_BD = model.encode_text(tokenize(texts), normalize=True)
        scale = model.logit_scale.exp().clamp(max=100)
        loss = contrastive_loss(image_BD.float(), text_BD.float(), texts, scale)
        averaged_step(optimizer, loss + GROUNDING_WEIGHT * grounding_loss)
        if rank == 0 and step % 50 == 49:
            rate = step * BATCH * WORKERS / (time.monotonic() - start)
            print(
                f"clip step {step}: contrastive loss {loss.item():.3f}, "
                f"grounding loss {grounding_loss.item():.3f}, {rate:.0f} frames/s",
                flush=True,
            )
    if rank > 0:
        return
    weights = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
