"""Train the three demo models from a seed and measure them on unseen frames.

`python -m scripts.demo_models.train [--out FOLDER] [--seed 0]` takes under 30 minutes on two cores.
It trains CLIP, then the captioner with CLIP's image encoder, then the language model.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

import numpy as np

from exvad.data.world.language import PHRASES, REASONS, explain
from exvad.data.world.seed_ranges import seeds
from scripts.demo_models import captioner, clip, llm, tokens
from scripts.demo_models.frames import load_frames, render_frames, save_frames
from scripts.demo_models.quality import measure, write_cards
from scripts.demo_models.workers import run_workers

SCENES = 12_000
LLM_SCENES = 8_000
VOCABULARY = 768
CLIP_STEPS = 1_100
CAPTIONER_STEPS = 2_400
LLM_STEPS = 600


def train_clip(rank: int, frames: Path, out: Path, seed: int) -> None:
    """Train CLIP into OUT/clip, in one of the workers."""
    clip.train(rank, load_frames(frames), out / "clip", VOCABULARY, CLIP_STEPS, seed)


def train_captioner(rank: int, frames: Path, out: Path, seed: int) -> None:
    """Train the captioner into OUT/captioner, in one of the workers; CLIP must be trained."""
    folder = out / "captioner"
    captioner.train(rank, load_frames(frames), folder, VOCABULARY, CAPTIONER_STEPS, seed)


def train_llm(rank: int, out: Path, seed: int) -> None:
    """Train the language model into OUT/llm, in one of the workers."""
    rng = np.random.default_rng(seed)
    videos = [llm.sample_captions(scene, rng) for scene in seeds("encoders", LLM_SCENES, 2)]
    llm.train(rank, videos, out / "llm", VOCABULARY, LLM_STEPS, seed)


def make_tokenizers(captions: list[str], out: Path) -> None:
    """Train one tokenizer on texts of the demo world and save it for each model."""
    records = [explain(captions[i : i + 8]).model_dump_json() for i in range(0, 8000, 8)]
    phrases = [phrase for group in PHRASES.values() for phrase in group] * 20
    lists = [json.dumps(list(group)) for group in PHRASES.values()] * 20
    numbers = [f"{number}: " for number in range(1, 65)] * 10
    prompts = ["record:", "16 phrases for road accidents:"] * 20
    texts = [*captions[:4000], *phrases, *lists, *REASONS.values(), *records, *numbers, *prompts]
    tokenizer = tokens.train_tokenizer(texts, VOCABULARY)
    begin_end = f"{tokens.BOS} $A {tokens.EOS}"
    tokens.save_tokenizer(tokenizer, out / "clip", begin_end, "right")
    tokens.save_tokenizer(tokenizer, out / "captioner", begin_end, "right")
    tokens.save_tokenizer(tokenizer, out / "llm", f"{tokens.BOS} $A", "left")


def main() -> None:
    """Train and measure the models, and write them with their model cards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("exvad/assets/weights"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    draft: Path = options.out.with_name(f".{options.out.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    frames_folder = draft / "frames"
    # Each seed of a use gives at most 10,000 scenes, so the frames need two.
    scenes = [*seeds("encoders", SCENES // 2, 0), *seeds("encoders", SCENES // 2, 1)]
    frames = render_frames(scenes)
    save_frames(frames, frames_folder)
    make_tokenizers(frames.captions, draft)
    del frames
    run_workers(train_clip, frames_folder, draft, options.seed)
    run_workers(train_captioner, frames_folder, draft, options.seed)
    run_workers(train_llm, draft, options.seed)
    shutil.rmtree(frames_folder)
    shutil.rmtree(options.out, ignore_errors=True)
    draft.rename(options.out)
    write_cards(options.out, measure(options.out))


if __name__ == "__main__":
    main()
