"""Train the demo's CLIP: a small ViT and text transformer, contrastively, on world frames."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from safetensors.torch import save_file
from torch import distributed
from torch.nn import functional as F

from exvad.data.world.activities import NORMAL
from exvad.data.world.language import PHRASES, REASONS
from exvad.laam.label_vectors import TEMPLATE
from exvad.laam.phrases import readable
from scripts.demo_models import workers
from scripts.demo_models.frames import SIDE, Frames
from scripts.demo_models.grounding import Grounding
from scripts.demo_models.schedule import set_rate

CONTEXT = 32
GROUNDING_WEIGHT = 1.0


def config(vocab_size: int) -> dict[str, Any]:
    """Return the open_clip description of the model."""
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


def spoken(caption: str, label: str, rng: np.random.Generator) -> str:
    """Say a frame in one of the ways the detector will: caption, phrase, label or explanation."""
    draw = rng.random()
    if draw < 0.5:
        return caption
    if draw < 0.78:
        return str(rng.choice(PHRASES[label]))
    if draw < 0.88 and label != NORMAL:
        name = readable(label)
        return name if rng.random() < 0.5 else TEMPLATE.format(label=name)
    return REASONS[label] if draw < 0.94 else f"{caption}."


def images(pictures_BHWC: np.ndarray[Any, Any]) -> torch.Tensor:
    """Normalise uint8 pictures as the model's preprocessing does."""
    return torch.from_numpy(pictures_BHWC).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def contrastive_loss(
    image_BD: torch.Tensor, text_BD: torch.Tensor, texts: list[str], scale: torch.Tensor
) -> torch.Tensor:
    """Symmetric InfoNCE in which equal texts share the mass."""
    logits_BB = scale * image_BD @ text_BD.T
    number = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    ids_B = torch.tensor([number[text] for text in texts])
    same_BB = (ids_B[:, None] == ids_B[None, :]).float()
    target_BB = same_BB / same_BB.sum(1, keepdim=True)
    return (F.cross_entropy(logits_BB, target_BB) + F.cross_entropy(logits_BB.T, target_BB)) / 2


def train(rank: int, frames: Frames, folder: Path, vocab_size: int, steps: int, seed: int) -> None:
    """Train as one of the workers; the first writes model and configuration into `folder`."""
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
    learned = [*model.parameters(), *grounding.parameters()]
    optimizer = torch.optim.AdamW(learned, lr=1e-3, weight_decay=0.05)
    start, batch = time.monotonic(), 96
    for step in range(steps):
        set_rate(optimizer, 1e-3, step, steps)
        pick = frames.pick(rng, batch)
        texts = [spoken(frames.captions[i], frames.labels[i], rng) for i in pick]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            image_BD, patches_BPD = model.visual(images(frames.pictures[pick]))
            image_BD = F.normalize(image_BD, dim=-1)
            grounded = grounding(patches_BPD, frames, pick)
            text_BD = model.encode_text(tokenize(texts), normalize=True)
        scale = model.logit_scale.exp().clamp(max=100)
        loss = contrastive_loss(image_BD.float(), text_BD.float(), texts, scale)
        workers.step(optimizer, loss + GROUNDING_WEIGHT * grounded)
        if rank == 0 and step % 50 == 49:
            rate = step * batch * workers.WORKERS / (time.monotonic() - start)
            print(
                f"clip step {step}: contrast {loss.item():.3f}, grounding {grounded.item():.3f}, "
                f"{rate:.0f} images/s",
                flush=True,
            )
    if rank > 0:
        return
    weights = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
