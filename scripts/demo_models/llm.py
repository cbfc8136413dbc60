"""Train the demo's language model: a small Llama that reads captions and writes explanations."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from exvad.aegm.explanation import (
    ExplanationError,
    explanation_prompt,
    parse_explanation,
    refused_prompt,
)
from exvad.aegm.prompts import load_prompt
from exvad.data.world.activities import ACTIVITIES, CLASSES, NORMAL, possible
from exvad.data.world.language import PHRASES, explain
from exvad.data.world.scene import Scene
from exvad.laam.phrases import phrase_prompt
from scripts.demo_models import workers
from scripts.demo_models.frames import scene_label
from scripts.demo_models.schedule import set_rate

MAX_CAPTIONS = 24


def config(vocab_size: int) -> LlamaConfig:
    """Return the model's sizes; heads are 32 wide, which vLLM's CPU kernels ask for."""
    return LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


def misread(scene: Scene, rng: np.random.Generator) -> dict[int, tuple[str, float]]:
    """Draw how a captioner misreads each segment of a scene: as what, and how often."""
    slips = {}
    for segment in scene.segments:
        label = CLASSES[rng.integers(len(CLASSES))]
        choices = possible(label, scene.place.name) or possible(NORMAL, scene.place.name)
        activity = ACTIVITIES[choices[rng.integers(len(choices))]]
        often = float(rng.choice([0.04, 0.25, 0.6], p=[0.65, 0.2, 0.15]))
        slips[segment.start] = (f"{activity.says(segment.cast)} {scene.place.phrase}", often)
    return slips


def reading(seed: int, rng: np.random.Generator) -> list[str]:
    """Return one video's captions, evenly spaced, with a captioner's slips."""
    scene = Scene(seed, scene_label(seed))
    count = int(rng.integers(1, MAX_CAPTIONS + 1)) if rng.random() < 0.3 else 16
    slips = misread(scene, rng)
    captions = []
    for frame in np.linspace(0, scene.num_frames - 1, count).astype(int):
        wrong, often = slips[scene.segment(int(frame)).start]
        captions.append(wrong if rng.random() < often else scene.caption(int(frame)))
    return captions


def dialogues(readings: Sequence[list[str]]) -> list[tuple[str, str]]:
    """Return (prompt, answer) pairs: explanations, and the phrases of every label.

    Every eighth explanation is asked for a second time, after an answer that was refused.
    """
    ask, ask_phrases = load_prompt("explanation_demo"), load_prompt("phrases_demo")
    explanations = []
    for number, captions in enumerate(readings):
        prompt = explanation_prompt(ask, captions, CLASSES)
        answer = explain(captions).model_dump_json()
        if number % 8 == 0:
            broken = answer[: 1 + number * 37 % (len(answer) - 1)]
            try:
                parse_explanation(broken, CLASSES, len(captions))
            except ExplanationError as error:
                prompt = refused_prompt(prompt, error)
        explanations.append((prompt, answer))
    return explanations + [
        (phrase_prompt(ask_phrases, label, len(phrases)), json.dumps(list(phrases)))
        for label, phrases in PHRASES.items()
    ]


def train(
    rank: int, readings: Sequence[list[str]], folder: Path, vocab: int, steps: int, seed: int
) -> None:
    """Train as one of the workers; the first writes the model beside its tokenizer."""
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, rank])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pairs = dialogues(readings)
    phrase_pairs = len(PHRASES)
    prompts = tokenizer([prompt for prompt, _ in pairs]).input_ids
    answers = tokenizer([answer for _, answer in pairs], add_special_tokens=False).input_ids
    rows = [(p, [*a, tokenizer.eos_token_id]) for p, a in zip(prompts, answers, strict=True)]
    lengths = np.array([len(p) + len(a) for p, a in rows])
    model = LlamaForCausalLM(config(vocab))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.02)
    start, batch = time.monotonic(), 12
    for step in range(steps):
        set_rate(optimizer, 1.5e-3, step, steps)
        pick = rng.integers(0, len(rows), batch * 8)
        pick = pick[np.argsort(lengths[pick])].reshape(8, batch)[rng.integers(8)]
        if step % 3 == 0:
            pick[:4] = len(rows) - 1 - rng.integers(0, phrase_pairs, 4)
        longest = int(lengths[pick].max())
        ids_BL = torch.zeros(batch, longest, dtype=torch.long)
        labels_BL = torch.full((batch, longest), -100)
        for row, index in enumerate(pick):
            prompt, answer = rows[index]
            ids = torch.tensor(prompt + answer)
            ids_BL[row, : len(ids)] = ids
            labels_BL[row, len(prompt) : len(ids)] = ids[len(prompt) :]
        mask_BL = (torch.arange(longest) < torch.from_numpy(lengths[pick])[:, None]).long()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(input_ids=ids_BL, attention_mask=mask_BL, labels=labels_BL).loss
        workers.step(optimizer, loss)
        if rank == 0 and step % 100 == 99:
            rate = step * batch * workers.WORKERS / (time.monotonic() - start)
            print(f"llm step {step}: loss {loss.item():.4f}, {rate:.0f} videos/s", flush=True)
    if rank > 0:
        return
    model.generation_config.do_sample = False
    model.half().save_pretrained(folder)
