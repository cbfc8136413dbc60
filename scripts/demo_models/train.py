"""Train the three demo models from a seed and measure them on unseen frames.

`python -m scripts.demo_models.train [--out exvad/weights] [--seed 0]` takes under 30 minutes on
two cores: the captioner on one, CLIP and then the language model on the other.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from multiprocessing import get_context
from pathlib import Path

from exvad.data.world.language import PHRASES, REASONS, explain
from exvad.data.world.seeds import seeds
from scripts.demo_models import tokens

SCENES = 12_000
READINGS = 6_000
VOCABULARY = 768
CAPTIONER_STEPS = 3_600
CLIP_STEPS = 1_150
LLM_STEPS = 900


def _draw(cache: Path) -> None:
    import pickle

    from scripts.demo_models.frames import draw

    # Seeds of a use hold 10,000 scenes a draw: the encoders' frames take two draws.
    frames = draw(seeds("encoders", SCENES // 2, 0)), draw(seeds("encoders", SCENES // 2, 1))
    cache.write_bytes(pickle.dumps(frames))


def _frames(cache: Path):  # type: ignore[no-untyped-def]
    import pickle

    import numpy as np

    from scripts.demo_models.frames import Frames

    first, second = pickle.loads(cache.read_bytes())
    joined = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])
        for name in ("pictures", "masks", "activities", "colors")
    }
    return Frames(
        **joined, captions=first.captions + second.captions, labels=first.labels + second.labels
    )


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def train_captioner(cache: Path, out: Path, seed: int) -> None:
    """Train the captioner into OUT/captioner."""
    from scripts.demo_models import captioner

    _one_thread()
    captioner.train(_frames(cache), out / "captioner", VOCABULARY, CAPTIONER_STEPS, seed)


def train_clip_and_llm(cache: Path, out: Path, seed: int) -> None:
    """Train CLIP into OUT/clip and the language model into OUT/llm."""
    import numpy as np

    from scripts.demo_models import clip, llm

    _one_thread()
    clip.train(_frames(cache), out / "clip", VOCABULARY, CLIP_STEPS, seed)
    rng = np.random.default_rng(seed)
    readings = [llm.reading(scene, rng) for scene in seeds("encoders", READINGS, 2)]
    llm.train(readings, out / "llm", VOCABULARY, LLM_STEPS, seed)


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
    command.add_argument("--out", type=Path, default=Path("exvad/weights"))
    command.add_argument("--seed", type=int, default=0)
    options = command.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    draft: Path = options.out.with_name(f".{options.out.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    cache = draft / "frames.pickle"
    _draw(cache)
    make_tokenizers(_frames(cache).captions, draft)
    spawn = get_context("spawn")
    work = [
        spawn.Process(target=target, args=(cache, draft, options.seed))
        for target in (train_captioner, train_clip_and_llm)
    ]
    for process in work:
        process.start()
    for process in work:
        process.join()
        if process.exitcode:
            raise SystemExit(f"a training process ended with {process.exitcode}")
    cache.unlink()
    shutil.rmtree(options.out, ignore_errors=True)
    draft.rename(options.out)

    from scripts.demo_models.quality import measure, write_cards

    write_cards(options.out, measure(options.out))


if __name__ == "__main__":
    main()
