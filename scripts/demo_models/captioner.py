"""Train the demo's BLIP-2 (CLIP's ViT, Q-Former and OPT) to caption demo-world frames.

B frames of a batch · L tokens · P patches · D width
"""

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

from scripts.demo_models.clip import normalise
from scripts.demo_models.frames import SIDE, Frames
from scripts.demo_models.grounding import Grounding
from scripts.demo_models.schedule import set_learning_rate
from scripts.demo_models.tokens import IMAGE
from scripts.demo_models.vision_weights import copy_vision_weights
from scripts.demo_models.workers import WORKERS, averaged_step

BATCH = 48
QUERIES = 12
GROUNDING_WEIGHT = 0.3


def config(vocab_size: int, image_token: int) -> Blip2Config:
    """Return the configuration of the model."""
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
    """Train in one of the workers; the first one writes model and processor into `folder`.

    Args:
        rank: index of the worker.
        frames: what to train on.
        folder: has the tokenizer; the trained CLIP is in the folder `clip` next to it.
        vocab_size: of the tokenizer.
        steps: number of steps.
        seed: of weights and batches.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, rank])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    image_token = tokenizer.convert_tokens_to_ids(IMAGE)
    model = Blip2ForConditionalGeneration(config(vocab_size, image_token))
    clip_weights = load_file(folder.parent / "clip/open_clip_model.safetensors")
    copy_vision_weights(model.vision_model, clip_weights)
    model.train()
    grounding = Grounding(160, SIDE // 12)
    parameters = [*model.parameters(), *grounding.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.02)
    start = time.monotonic()
    for step in range(steps):
        set_learning_rate(optimizer, 1.2e-3, step, steps)
        indices = frames.sample(rng, BATCH)
        text = tokenizer([frames.captions[i] for i in indices], return_tensors="pt", padding=True)
        ids_BL = torch.cat([torch.full((BATCH, QUERIES), image_token), text.input_ids], dim=1)
        mask_BL = torch.cat([torch.ones(BATCH, QUERIES, dtype=torch.long), text.attention_mask], 1)
        labels_BL = ids_BL.masked_fill((mask_BL == 0) | (ids_BL == image_token), -100)
        labels_BL[:, QUERIES] = -100
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model(
                pixel_values=normalise(frames.images[indices]),
                input_ids=ids_BL,
                attention_mask=mask_BL,
                labels=labels_BL,
            )
            patches_BPD = output.vision_outputs.last_hidden_state[:, 1:]
            loss = output.loss + GROUNDING_WEIGHT * grounding(patches_BPD, frames, indices)
        averaged_step(optimizer, loss)
        if rank == 0 and step % 100 == 99:
            rate = step * BATCH * WORKERS / (time.monotonic() - start)
            print(
                f"captioner step {step}: loss {output.loss.item():.3f}, {rate:.0f} frames/s",
                flush=True,
            )
    if rank > 0:
        return
    model.eval()
    model.generation_config.eos_token_id = 2
    model.generation_config.pad_token_id = 0
    model.half().save_pretrained(folder)
    image_processor = BlipImageProcessor(
        size={"height": SIDE, "width": SIDE},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
    Blip2Processor(image_processor, tokenizer, num_query_tokens=QUERIES).save_pretrained(folder)
