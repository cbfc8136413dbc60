"""Train the three demo models from a seed and measure them on unseen frames.

`python -m scripts.demo_models.train [--out FOLDER] [--seed 0]` takes under 30 minutes on two cores:
CLIP, the captioner that sees with CLIP's image encoder, and the language model.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

from exvad.data.world.language import PHRASES, REASONS, explain
from exvad.data.world.seeds import seeds
from scripts.demo_models import frames, tokens
from scripts.demo_models.workers import train_together

SCENES = 12_000
READINGS = 8_000
VOCABULARY = 768
CLIP_STEPS = 1_100
CAPTIONER_STEPS = 2_400
LLM_STEPS = 600


def train_clip(rank: int, cache: Path, out: Path, seed: int) -> None:
    """Train CLIP into OUT/clip."""
    from scripts.demo_models import clip, frames

    clip.train(rank, frames.load(cache), out / "clip", VOCABULARY, CLIP_STEPS, seed)


def train_captioner(rank: int, cache: Path, out: Path, seed: int) -> None:
    """Train the captioner into OUT/captioner; CLIP must be there."""
    from scripts.demo_models import captioner, frames

    folder = out / "captioner"
    captioner.train(rank, frames.load(cache), folder, VOCABULARY, CAPTIONER_STEPS, seed)


def train_llm(rank: int, out: Path, seed: int) -> None:
    """Train the language model into OUT/llm."""
    import numpy as np

    from scripts.demo_models import llm

    rng = np.random.default_rng(seed)
    readings = [llm.reading(scene, rng) for scene in seeds("encoders", READINGS, 2)]
    llm.train(rank, readings, out / "llm", VOCABULARY, LLM_STEPS, seed)


def make_tokenizers(captions: list[str], out: Path) -> None:
    """Learn one tokenizer and write it for each model."""
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
    """Train, measure, and write the models with their cards."""
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("--out", type=Path, default=Path("exvad/assets/weights"))
    command.add_argument("--seed", type=int, default=0)
    options = command.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    draft: Path = options.out.with_name(f".{options.out.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    cache = draft / "frames"
    # Seeds of a use hold 10,000 scenes a draw: the encoders' frames take two draws.
    scenes = [*seeds("encoders", SCENES // 2, 0), *seeds("encoders", SCENES // 2, 1)]
    drawn = frames.draw(scenes)
    frames.save(drawn, cache)
    make_tokenizers(drawn.captions, draft)
    del drawn
    train_together(train_clip, cache, draft, options.seed)
    train_together(train_captioner, cache, draft, options.seed)
    train_together(train_llm, draft, options.seed)
    shutil.rmtree(cache)
    shutil.rmtree(options.out, ignore_errors=True)
    draft.rename(options.out)

    from scripts.demo_models.quality import measure, write_cards

    write_cards(options.out, measure(options.out))


if __name__ == "__main__":
    main()
