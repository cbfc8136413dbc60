"""Rows of a feature store, and whole videos in one.

t snippets of a chunk · T snippets of a video · D feature width
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from exvad.store.store import Store

WIDTH = 8
FINGERPRINT = {"clip": {"model": "tiny", "pretrained": "world"}, "stride": 16, "crops": (0,)}


def vision_row(video: str = "v", chunk: int = 0, num_chunks: int = 1, **changes: Any) -> Any:
    """Return a row of one chunk of 4 snippets; the same arguments give the same row."""
    rng = np.random.default_rng([*video.encode(), chunk])
    first = 4 * chunk
    row = {
        "video_id": video,
        "chunk": chunk,
        "crop": 0,
        "first_snippet": first,
        "num_chunks": num_chunks,
        "visual": rng.normal(size=(4, WIDTH)).astype(np.float32),
        "times": (np.arange(4) + first) * 0.5,
        "caption_snippets": np.array([first, first + 2]),
        "captions": [f"{video} at {first}", f"{video} at {first + 2}"],
        "num_frames": 64 * num_chunks,
        "fps": 25.0,
    }
    return row | changes


def language_row(video: str = "v", **changes: Any) -> Any:
    """Return a row of one video with 2 captions."""
    rng = np.random.default_rng([1, *video.encode()])
    row = {
        "video_id": video,
        "captions": ["a man", "a ghost"],
        "caption_snippets": [0, 2],
        "cleaned_captions": ["a man", "a man"],
        "changed": 1,
        "explanation": "Nothing happens.",
        "record": json.dumps({"anomalous": False, "category": "Normal"}),
        "text": rng.normal(size=WIDTH),
        "caption_text": rng.normal(size=(2, WIDTH)),
        "llm": "tiny",
        "prompt": "why?",
    }
    return row | changes


ROWS = [vision_row(video, chunk, 3) for video in ("a", "b") for chunk in range(3)]


def part_files(root: Path, stage: str = "vision") -> list[str]:
    """Return the names of all files of a stage but `stage.json`, sorted."""
    return sorted(file.name for file in (root / stage).iterdir() if file.name != "stage.json")


def add_vision(store: Store, video: str, lengths: tuple[int, ...], crop: int = 0) -> Any:
    """Add a video in chunks of these lengths, the last chunk first; return its features [T, D]."""
    rng = np.random.default_rng([crop, *video.encode()])
    visual_TD = rng.normal(size=(sum(lengths), WIDTH)).astype(np.float16)
    stage = store.stage("vision", {})
    ends = np.cumsum(lengths)
    for chunk in reversed(range(len(lengths))):
        first = int(ends[chunk]) - lengths[chunk]
        row = vision_row(
            video,
            chunk,
            len(lengths),
            crop=crop,
            first_snippet=first,
            visual=visual_TD[first : ends[chunk]],
            times=np.arange(first, ends[chunk]) * 0.64,
            caption_snippets=[first],
            captions=[f"{video} at {first}"],
            num_frames=16 * len(visual_TD),
        )
        stage.append([row])
    return visual_TD


def add_language(store: Store, video: str, snippets: list[int], width: int = WIDTH) -> Any:
    """Add the explanation of a video with captions of these snippets; return its row."""
    rng = np.random.default_rng([7, *video.encode()])
    row = language_row(
        video,
        captions=[f"raw {snippet}" for snippet in snippets],
        caption_snippets=snippets,
        cleaned_captions=[f"clean {snippet}" for snippet in snippets],
        changed=0,
        explanation=f"why {video}",
        record='{"anomalous": true}',
        text=rng.normal(size=width).astype(np.float16),
        caption_text=rng.normal(size=(len(snippets), width)).astype(np.float16),
    )
    store.stage("language", {}).append([row])
    return row
