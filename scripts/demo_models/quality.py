"""Measure the demo models on frames that training did not use, and write their model cards.

N frames or captions · D feature width
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from exvad.aegm.explanation import explain
from exvad.aegm.explanation_format import ExplanationError
from exvad.aegm.prompts import load_prompt
from exvad.data.world.activities import CLASSES
from exvad.data.world.language import caption_class
from exvad.data.world.language import explain as reference_explanation
from exvad.data.world.scene import Scene
from exvad.data.world.seed_ranges import seeds
from exvad.encoders.captioners.transformers_captioner import TransformersCaptioner
from exvad.encoders.clip import ClipEncoder
from exvad.encoders.llm import TransformersLLM
from exvad.encoders.vectors import unit_vectors
from scripts.demo_models.frames import render_frames, scene_label

SCENES = 240
VIDEOS = 96
CAPTIONS = 16


def token_f1(written: str, true: str) -> float:
    """Return the F1 of the words that a written caption shares with the true one."""
    shared = sum((Counter(written.split()) & Counter(true.split())).values())
    return 2 * shared / (len(written.split()) + len(true.split()))


def caption_quality(captioner: TransformersCaptioner) -> dict[str, float]:
    """Return exact match, token F1 and class accuracy of the captions of unseen frames."""
    frames = render_frames(seeds("quality", SCENES))
    written = captioner.caption(frames.images)
    pairs = list(zip(written, frames.captions, strict=True))
    predicted = [caption_class(text) for text in written]
    return {
        "frames": len(pairs),
        "exact_match": float(np.mean([a == b for a, b in pairs])),
        "token_f1": float(np.mean([token_f1(a, b) for a, b in pairs])),
        "class_accuracy": float(
            np.mean([a == b for a, b in zip(predicted, frames.labels, strict=True)])
        ),
    }


def retrieval_quality(clip: ClipEncoder, among: int = 100, rounds: int = 20) -> dict[str, float]:
    """Return how often a frame is most similar to its own caption.

    Args:
        clip: the model.
        among: number of different captions to choose from.
        rounds: number of random choices of them.
    """
    frames = render_frames(seeds("quality", SCENES, 1))
    first_row = {caption: row for row, caption in reversed(list(enumerate(frames.captions)))}
    captions = list(first_row)
    image_ND = unit_vectors(clip.encode_images(frames.images[list(first_row.values())]))
    text_ND = unit_vectors(clip.encode_texts(captions))
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(rounds):
        rows = rng.choice(len(captions), among, replace=False)
        similarity = image_ND[rows] @ text_ND[rows].T
        hits.append((similarity.argmax(1) == np.arange(among)).mean())
    return {"captions": len(captions), "recall_at_1_among_100": float(np.mean(hits))}


def explanation_quality(llm: TransformersLLM, captioner: TransformersCaptioner) -> dict[str, float]:
    """Return the class accuracy of explanations, from true and from written captions."""
    prompt = load_prompt("explanation_demo")
    true, written, labels = [], [], []
    for seed in seeds("quality", VIDEOS, 2):
        scene = Scene(seed, scene_label(seed))
        frames = [int(frame) for frame in np.linspace(0, scene.num_frames - 1, CAPTIONS)]
        true.append([scene.caption(frame) for frame in frames])
        written.append(captioner.caption(np.stack([scene.render(frame) for frame in frames])))
        labels.append(scene.label)

    def accuracy(videos: list[list[str]]) -> float:
        answers = explain(videos, llm, prompt, CLASSES, attempts=1)
        predicted = ["" if isinstance(a, ExplanationError) else a.category for a in answers]
        return float(np.mean([a == b for a, b in zip(predicted, labels, strict=True)]))

    return {
        "videos": len(labels),
        "class_accuracy_true_captions": accuracy(true),
        "class_accuracy_written_captions": accuracy(written),
        "careful_reader_written_captions": float(
            np.mean(
                [
                    reference_explanation(captions).category == label
                    for captions, label in zip(written, labels, strict=True)
                ]
            )
        ),
    }


def measure(folder: Path) -> dict[str, Any]:
    """Measure the three models in `folder`."""
    clip = ClipEncoder(f"local-dir:{folder / 'clip'}", device="cpu", dtype="float32")
    captioner = TransformersCaptioner(
        str(folder / "captioner"), device="cpu", dtype="float32", batch_size=64, max_new_tokens=32
    )
    llm = TransformersLLM(
        str(folder / "llm"), device="cpu", dtype="float32", batch_size=32, max_new_tokens=96
    )
    return {
        "captioner": caption_quality(captioner),
        "clip": retrieval_quality(clip),
        "llm": explanation_quality(llm, captioner),
    }


CARDS = {
    "clip": "A small CLIP (open_clip: ViT of 4 layers, text transformer of 3, width 128)",
    "captioner": "A small BLIP-2 (transformers: ViT of 4 layers, Q-Former of 2, OPT of 3)",
    "llm": "A small Llama (transformers: 4 layers, width 128)",
}


def write_cards(folder: Path, quality: dict[str, Any]) -> None:
    """Write QUALITY.json and a model card for each model."""
    (folder / "quality.json").write_text(json.dumps(quality, indent=2) + "\n")
    for name, description in CARDS.items():
        metrics = "\n".join(
            f"- {re.sub('_', ' ', key)}: {value:.3f}"
            if isinstance(value, float)
            else f"- {key}: {value}"
            for key, value in quality[name].items()
        )
        (folder / name / "README.md").write_text(
            f"# exvad demo {name}\n\n{description}, trained from scratch on the demo world's drawn "
            "frames and texts only, by `python -m scripts.demo_models.train`. Weights are float16, "
            "licensed Apache-2.0 like the code.\n\n"
            f"Measured on scenes that were not used in training:\n\n{metrics}\n\n"
            "It was trained on the demo world only. Its output for real footage is meaningless.\n"
        )


if __name__ == "__main__":
    weights = Path(sys.argv[1] if len(sys.argv) > 1 else "exvad/assets/weights")
    write_cards(weights, measure(weights))
