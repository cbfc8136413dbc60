"""Features with planted anomalies: the direction of a class is added in an interval of the video.

T snippets · C classes · D feature width
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exvad.config import Config, load_config
from exvad.data.dataset import run_manifest_path
from exvad.data.manifest import Manifest
from exvad.data.manifest_files import write_manifest
from exvad.data.records import Event, Split, Video
from exvad.laam.run_labels import import_labels
from exvad.store.examples import Example
from exvad.store.import_features import import_visual
from exvad.store.store import Store

WIDTH = 32
CLASSES = ("Normal", "Fighting", "Arson", "Robbery", "Explosion")


def directions(seed: int = 0) -> NDArray[np.float32]:
    """Return one direction per class, [C, D], of unit length."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(len(CLASSES), WIDTH)).astype(np.float32)
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def examples(
    count: int, seed: int, lengths: Sequence[int] = (6, 40), signal: float = 4.0
) -> list[Example]:
    """Return examples, alternately abnormal and normal; the anomaly is a third of the video long.

    Args:
        count: number of examples.
        seed: another seed, other examples.
        lengths: minimum and maximum T.
        signal: length of the planted direction; the noise has a standard deviation of 1.
    """
    rng = np.random.default_rng(seed)
    class_CD = directions()
    planted = []
    for number in range(count):
        length = int(rng.integers(lengths[0], lengths[1] + 1))
        visual_TD = rng.normal(size=(length, WIDTH)).astype(np.float32) + class_CD[0]
        label = 0 if number % 2 else 1 + number // 2 % (len(CLASSES) - 1)
        if label:
            start = int(rng.integers(0, length - length // 3))
            visual_TD[start : start + max(1, length // 3)] += signal * class_CD[label]
        target_C = np.zeros(len(CLASSES), np.float32)
        target_C[label] = 1
        planted.append(Example(f"v{number}", visual_TD, None, target_C))
    return planted


def config(*overrides: str) -> Config:
    """Return a configuration for planted features."""
    return load_config(
        "demo",
        [
            "model.text=none",
            "train.batch_size=16",
            "train.epochs=4",
            "train.learning_rate=0.002",
            "train.milestones=[100]",
            *overrides,
        ],
    )


def plant_run(
    folder: Path,
    videos: int,
    validation: float,
    phrases: int = 0,
    crops: int = 1,
    tests: int = 0,
    run: str = "",
    timed: bool = False,
    label_width: int = 0,
) -> Path:
    """Import planted features and labels, with a manifest, into a run; return `folder/run`.

    Args:
        folder: the folder of the imported files and of the run.
        videos: number of videos; the classes alternate.
        validation: share of the videos for validation.
        phrases: phrases per class.
        crops: crops of each video, 1, 5 or 10; the others have weaker anomalies.
        tests: how many of the videos are for testing.
        run: path or URI of the run; empty for `folder/run`.
        timed: whether the manifest says when events happen.
        label_width: width of the label embeddings, which say nothing about the features then; 0
            for that of the features, in which they are the planted directions.
    """
    rng, class_CD = np.random.default_rng(0), directions()
    listed = []
    (folder / "in").mkdir(parents=True)
    for number in range(videos):
        label = number % len(CLASSES)
        visual_TD = rng.normal(size=(20, WIDTH)).astype(np.float32) + class_CD[0]
        if label:
            visual_TD[5:12] += 3 * class_CD[label]
        for crop in range(crops):
            name = f"v{number}__{crop}.npy" if crops > 1 else f"v{number}.npy"
            np.save(folder / "in" / name, visual_TD / (1 + crop))
        split: Split = "train" if number < videos - tests else "test"
        events = (Event(5 * 16, 12 * 16, CLASSES[label]),) if timed and label else ()
        listed.append(Video(f"v{number}", "x.mp4", split, (CLASSES[label],), events))
    manifest = Manifest(CLASSES, tuple(listed)).with_validation(validation, 0)
    settings = config(f"run={run or folder / 'run'}")
    import_visual(folder / "in", manifest, Store(settings.store_path), 16)
    write_manifest(manifest, run_manifest_path(settings))
    label_CD = rng.normal(size=(len(CLASSES), label_width)) if label_width else class_CD
    rows: dict[str, Any] = {
        label: np.stack([label_D + 0.1 * number for number in range(1 + phrases)])
        for label, label_D in zip(CLASSES, label_CD, strict=True)
    }
    np.savez(folder / "labels.npz", **rows)
    import_labels(folder / "labels.npz", CLASSES, settings)
    return folder / "run"
