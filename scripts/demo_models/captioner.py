"""Train the demo's BLIP-2: ViT, Q-Former and OPT, from scratch, to caption world frames."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoTokenizer,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessor,
)

from scripts.demo_models.clip import images
from scripts.demo_models.frames import SIDE, Frames
from scripts.demo_models.grounding import Grounding
from scripts.demo_models.schedule import set_rate
from scripts.demo_models.tokens import IMAGE

QUERIES = 12
WARM_UP = 0.2


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


def _step(
    optimizer: torch.optim.Optimizer, loss: torch.Tensor, learned: list[torch.nn.Parameter]
) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(learned, 1.0)
    optimizer.step()


def train(frames: Frames, folder: Path, vocab_size: int, steps: int, seed: int) -> None:
    """Train for a number of steps and write model and processor into `folder`."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    image_token = tokenizer.convert_tokens_to_ids(IMAGE)
    model = Blip2ForConditionalGeneration(config(vocab_size, image_token))
    model.train()
    grounding = Grounding(160, SIDE // 12)
    learned = [*model.parameters(), *grounding.parameters()]
    optimizer = torch.optim.AdamW(learned, lr=1e-3, weight_decay=0.02)
    start, batch = time.monotonic(), 64
    for step in range(steps):
        set_rate(optimizer, 1.5e-3, step, steps)
        pick = rng.integers(0, len(frames.captions), batch)
        pixels_BCHW = images(frames.pictures[pick])
        if step < WARM_UP * steps:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                patches_BPD = model.vision_model(pixels_BCHW).last_hidden_state[:, 1:]
                loss = grounding(patches_BPD, frames, pick)
            _step(optimizer, loss, learned)
            if step % 100 == 99:
                print(f"captioner step {step}: grounding {loss.item():.3f}", flush=True)
            continue
        text = tokenizer([frames.captions[i] for i in pick], return_tensors="pt", padding=True)
        ids_BL = torch.cat([torch.full((batch, QUERIES), image_token), text.input_ids], dim=1)
        mask_BL = torch.cat([torch.ones(batch, QUERIES, dtype=torch.long), text.attention_mask], 1)
        labels_BL = ids_BL.masked_fill((mask_BL == 0) | (ids_BL == image_token), -100)
        labels_BL[:, QUERIES] = -100
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model(
                pixel_values=pixels_BCHW,
                input_ids=ids_BL,
                attention_mask=mask_BL,
                labels=labels_BL,
            )
            patches_BPD = output.vision_outputs.last_hidden_state[:, 1:]
            loss = output.loss + 0.3 * grounding(patches_BPD, frames, pick)
        _step(optimizer, loss, learned)
        if step % 100 == 99:
            rate = step * batch / (time.monotonic() - start)
            print(f"captioner step {step}: loss {loss.item():.3f}, {rate:.0f} images/s", flush=True)
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
