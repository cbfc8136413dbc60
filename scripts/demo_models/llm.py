"""Train the demo's language model: a small Llama that reads captions and writes explanations.

B prompts of a batch · L tokens
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from exvad.aegm.explanation import explanation_prompt, retry_prompt
from exvad.aegm.explanation_format import ExplanationError, parse_explanation
from exvad.aegm.prompts import load_prompt
from exvad.data.world.activities import ACTIVITIES, CLASSES, NORMAL, possible_activities
from exvad.data.world.language import PHRASES, explain
from exvad.data.world.scene import Scene
from exvad.laam.phrases import phrase_prompt
from scripts.demo_models.frames import scene_label
from scripts.demo_models.schedule import set_learning_rate
from scripts.demo_models.workers import WORKERS, averaged_step

BATCH = 12
BATCHES_SORTED_TOGETHER = 8
MAX_CAPTIONS = 24
RETRY_EVERY = 8


class CaptionError(NamedTuple):
    """A wrong caption that the captioner writes for frames of one segment of a scene.

    Args:
        caption: the wrong caption.
        probability: of the wrong caption, for each frame.
    """

    caption: str
    probability: float


def config(vocab_size: int) -> LlamaConfig:
    """Return the configuration of the model; vLLM's CPU kernels need heads of width 32."""
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


def sample_caption_errors(scene: Scene, rng: np.random.Generator) -> dict[int, CaptionError]:
    """Draw the captioner's errors in a scene: start frame of each segment → its error."""
    place = scene.place
    errors = {}
    for segment in scene.segments:
        label = CLASSES[rng.integers(len(CLASSES))]
        choices = possible_activities(label, place.name) or possible_activities(NORMAL, place.name)
        activity = ACTIVITIES[choices[rng.integers(len(choices))]]
        probability = float(rng.choice([0.04, 0.25, 0.6], p=[0.65, 0.2, 0.15]))
        caption = f"{activity.caption(segment.cast)} {place.phrase}"
        errors[segment.start] = CaptionError(caption, probability)
    return errors


def sample_captions(seed: int, rng: np.random.Generator) -> list[str]:
    """Return captions of one scene at equal distances, with errors of a captioner.

    Args:
        seed: of the scene.
        rng: draws the number of captions and the errors.
    """
    scene = Scene(seed, scene_label(seed))
    count = int(rng.integers(1, MAX_CAPTIONS + 1)) if rng.random() < 0.3 else 16
    errors = sample_caption_errors(scene, rng)
    captions = []
    for frame in np.linspace(0, scene.num_frames - 1, count).astype(int):
        error = errors[scene.segment(int(frame)).start]
        is_wrong = rng.random() < error.probability
        captions.append(error.caption if is_wrong else scene.caption(int(frame)))
    return captions


def training_pairs(videos: Sequence[list[str]]) -> list[tuple[str, str]]:
    """Return pairs of prompt and answer: an explanation per video, then the phrases of each label.

    The prompt of every eighth explanation is a retry after an invalid answer.

    Args:
        videos: the captions of each video.
    """
    template, phrase_template = load_prompt("explanation_demo"), load_prompt("phrases_demo")
    pairs = []
    for index, captions in enumerate(videos):
        prompt = explanation_prompt(template, captions, CLASSES)
        answer = explain(captions).model_dump_json()
        if index % RETRY_EVERY == 0:
            invalid = answer[: 1 + index * 37 % (len(answer) - 1)]
            try:
                parse_explanation(invalid, CLASSES, len(captions))
            except ExplanationError as error:
                prompt = retry_prompt(prompt, error)
        pairs.append((prompt, answer))
    return pairs + [
        (phrase_prompt(phrase_template, label, len(phrases)), json.dumps(list(phrases)))
        for label, phrases in PHRASES.items()
    ]


def train(
    rank: int, videos: Sequence[list[str]], folder: Path, vocab_size: int, steps: int, seed: int
) -> None:
    """Train in one of the workers; the first one writes the model into `folder`.

    Args:
        rank: index of the worker.
        videos: the captions of each video to train on.
        folder: has the tokenizer.
        vocab_size: of the tokenizer.
        steps: number of steps.
        seed: of weights and batches.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, rank])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pairs = training_pairs(videos)
    prompts = tokenizer([prompt for prompt, _ in pairs]).input_ids
    answers = tokenizer([answer for _, answer in pairs], add_special_tokens=False).input_ids
    rows = [(p, [*a, tokenizer.eos_token_id]) for p, a in zip(prompts, answers, strict=True)]
    lengths = np.array([len(prompt) + len(answer) for prompt, answer in rows])
    model = LlamaForCausalLM(config(vocab_size))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.02)
    start = time.monotonic()
    for step in range(steps):
        set_learning_rate(optimizer, 1.5e-3, step, steps)
        # One batch of rows of similar length.
        indices = rng.integers(0, len(rows), BATCH * BATCHES_SORTED_TOGETHER)
        by_length = indices[np.argsort(lengths[indices])].reshape(BATCHES_SORTED_TOGETHER, BATCH)
        indices = by_length[rng.integers(BATCHES_SORTED_TOGETHER)]
        if step % 3 == 0:
            # The last rows are those of the label phrases.
            indices[:4] = len(rows) - 1 - rng.integers(0, len(PHRASES), 4)
        longest = int(lengths[indices].max())
        ids_BL = torch.zeros(BATCH, longest, dtype=torch.long)
        labels_BL = torch.full((BATCH, longest), -100)
        for row, index in enumerate(indices):
            prompt, answer = rows[index]
            ids = torch.tensor(prompt + answer)
            ids_BL[row, : len(ids)] = ids
            labels_BL[row, len(prompt) : len(ids)] = ids[len(prompt) :]
        mask_BL = (torch.arange(longest) < torch.from_numpy(lengths[indices])[:, None]).long()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(input_ids=ids_BL, attention_mask=mask_BL, labels=labels_BL).loss
        averaged_step(optimizer, loss)
        if rank == 0 and step % 100 == 99:
            rate = step * BATCH * WORKERS / (time.monotonic() - start)
            print(f"llm step {step}: loss {loss.item():.4f}, {rate:.0f} videos/s", flush=True)
    if rank > 0:
        return
    model.generation_config.do_sample = False
    model.half().save_pretrained(folder)
