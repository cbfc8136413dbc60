"""Train the demo's BLIP-2 to caption world frames: CLIP's ViT, Q-Former and OPT."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import (
    AutoTokenizer,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessor,
)

from scripts.demo_models import workers
from scripts.demo_models.clip import images
from scripts.demo_models.frames import SIDE, Frames
from scripts.demo_models.grounding import Grounding
from scripts.demo_models.schedule import set_rate
from scripts.demo_models.sight import give_sight
from scripts.demo_models.tokens import IMAGE

QUERIES = 12


def config(vocab_size: int, image_token: int) -> Blip2Config:
    """Return the model's sizes."""
    return Blip2Config(
        vision_config={
            "hidden_size": 160,
            "intermediate_size": 480,
            "num_hidden_layers": 4,
            "num_attention_heads": 5,
            "image_size": SIDE,
            "patch_size": 12,
            "layer_norm_eps": 1e-5,
        },
        qformer_config={
            "vocab_size": 8,
            "hidden_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 384,
            "encoder_hidden_size": 160,
            "cross_attention_frequency": 1,
            "max_position_embeddings": 8,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
        text_config={
            "model_type": "opt",
            "vocab_size": vocab_size,
            "hidden_size": 128,
            "word_embed_proj_dim": 128,
            "num_hidden_layers": 3,
            "ffn_dim": 384,
            "num_attention_heads": 4,
            "max_position_embeddings": 64,
            "dropout": 0.0,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        num_query_tokens=QUERIES,
        image_token_index=image_token,
    )


def train(rank: int, frames: Frames, folder: Path, vocab_size: int, steps: int, seed: int) -> None:
    """Train as one of the workers; the first writes model and processor into `folder`.

    The image encoder starts as that of the CLIP beside `folder`.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, rank])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    image_token = tokenizer.convert_tokens_to_ids(IMAGE)
    model = Blip2ForConditionalGeneration(config(vocab_size, image_token))
    give_sight(model.vision_model, load_file(folder.parent / "clip/open_clip_model.safetensors"))
    model.train()
    grounding = Grounding(160, SIDE // 12)
    learned = [*model.parameters(), *grounding.parameters()]
    optimizer = torch.optim.AdamW(learned, lr=1e-3, weight_decay=0.02)
    start, batch = time.monotonic(), 48
    for step in range(steps):
        set_rate(optimizer, 1.2e-3, step, steps)
        pick = frames.pick(rng, batch)
        text = tokenizer([frames.captions[i] for i in pick], return_tensors="pt", padding=True)
        ids_BL = torch.cat([torch.full((batch, QUERIES), image_token), text.input_ids], dim=1)
        mask_BL = torch.cat([torch.ones(batch, QUERIES, dtype=torch.long), text.attention_mask], 1)
        labels_BL = ids_BL.masked_fill((mask_BL == 0) | (ids_BL == image_token), -100)
        labels_BL[:, QUERIES] = -100
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model(
                pixel_values=images(frames.pictures[pick]),
                input_ids=ids_BL,
                attention_mask=mask_BL,
                labels=labels_BL,
            )
            patches_BPD = output.vision_outputs.last_hidden_state[:, 1:]
            loss = output.loss + 0.3 * grounding(patches_BPD, frames, pick)
        workers.step(optimizer, loss)
        if rank == 0 and step % 100 == 99:
            rate = step * batch * workers.WORKERS / (time.monotonic() - start)
            print(
                f"captioner step {step}: loss {output.loss.item():.3f}, {rate:.0f} images/s",
                flush=True,
            )
    if rank > 0:
        return
    model.eval()
    model.generation_config.eos_token_id = 2
    model.generation_config.pad_token_id = 0
    model.half().save_pretrained(folder)
    picture = BlipImageProcessor(
        size={"height": SIDE, "width": SIDE},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
    Blip2Processor(picture, tokenizer, num_query_tokens=QUERIES).save_pretrained(folder)
