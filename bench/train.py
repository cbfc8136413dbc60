"""One epoch over as many videos as UCF-Crime trains on: what loading the data costs beside a step.

Loading is everything before the network: reading the store, making the examples, padding the
batches. The features are random; the lengths are log-normal as those of UCF-Crime's test videos,
but the mean is that of the whole data set (128 hours, 1,900 videos, 16 of 30 frames per second).

    python bench/train.py [--quick]
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from _harness import emit  # type: ignore[import-not-found]
from numpy.typing import NDArray

from exvad.config import load_config
from exvad.data.manifest import Manifest
from exvad.data.records import Video
from exvad.inference.network import build_network
from exvad.store.examples import collate
from exvad.store.feature_bank import FeatureBank
from exvad.store.store import Store
from exvad.training.fitting import training_data
from exvad.training.trainer import Trainer, epoch_batches

WIDTH, VIDEOS, ABNORMAL, CHUNK = 512, 1610, 810, 256
MEAN_SNIPPETS, LOG_DEVIATION = 128 * 3600 * 30 / 16 / 1900, 1.01
CLASSES = ("Normal", *(f"class {number}" for number in range(1, 14)))
GOALS: dict[str, tuple[str, float]] = {"loading_share_of_steps": ("<", 0.1)}


def write_store(store: Store, videos: int, rng: np.random.Generator) -> Manifest:
    """Fill the vision stage of a store with random features; return the data set."""
    drawn_N = rng.lognormal(math.log(MEAN_SNIPPETS) - LOG_DEVIATION**2 / 2, LOG_DEVIATION, videos)
    stage = store.stage("vision", {"random": videos})
    listed = []
    for number, length in enumerate(np.maximum(2, drawn_N.astype(int)).tolist()):
        # Every eleventh is there to choose the epoch by, as `validation: 0.1` has it.
        abnormal = number < videos * ABNORMAL // VIDEOS
        label = CLASSES[1 + number % 13 if abnormal else 0]
        listed.append(
            Video(f"v{number}", "x.mp4", "val" if number % 11 == 0 else "train", (label,))
        )
        chunks = math.ceil(length / CHUNK)
        stage.append(
            [
                {
                    "video_id": f"v{number}", "chunk": chunk, "crop": 0,
                    "first_snippet": chunk * CHUNK, "num_chunks": chunks,
                    "visual": random_rows(min(CHUNK, length - chunk * CHUNK), rng),
                    "times": np.arange(chunk * CHUNK, min(length, (chunk + 1) * CHUNK)) * 16 / 30,
                    "caption_snippets": [], "captions": [], "num_frames": length * 16, "fps": 30.0,
                }
                for chunk in range(chunks)
            ]
        )  # fmt: skip
    # The epoch must be chosen by something, which is not measured here.
    listed[0] = replace(listed[0], split="val")
    return Manifest(CLASSES, tuple(listed))


def random_rows(count: int, rng: np.random.Generator) -> NDArray[np.float16]:
    """Return `count` random features."""
    return rng.standard_normal((count, WIDTH), np.float32).astype(np.float16)


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the videos")
    videos = VIDEOS // 10 if parser.parse_args().quick else VIDEOS
    config = load_config("ucf_crime", ["data.root=.", "data.annotations=.", "model.text=none"])
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        manifest = write_store(store, videos, rng)
        print(f"{videos} videos stored", file=sys.stderr)
        start = time.perf_counter()
        bank = FeatureBank.build(store, [video.video_id for video in manifest.videos])
        read = time.perf_counter() - start
        data = training_data(bank, manifest, config)
        made = time.perf_counter() - start - read
    targets_NC = np.stack([example.target_C for example in data.train])
    train = config.train
    batches = epoch_batches(targets_NC, train.batch_size, train.balanced, train.seed, 0)
    start = time.perf_counter()
    for chosen in batches:
        collate([data.train[index] for index in chosen])
    padded = time.perf_counter() - start
    torch.manual_seed(0)
    network = build_network(config, WIDTH, len(CLASSES))
    label_CD = torch.randn(len(CLASSES), WIDTH)
    trainer = Trainer(network, label_CD, train, config.model.tau, torch.device("cpu"))
    start = time.perf_counter()
    trainer.train_epoch(data.train, 0)
    epoch = time.perf_counter() - start
    figures = {
        "videos": videos,
        "snippets": int(bank.visual.shape[0]),
        "reading_the_store_seconds": read,
        "making_examples_seconds": made,
        "padding_batches_seconds": padded,
        "epoch_seconds": epoch,
        "padding_share_of_steps": padded / (epoch - padded),
        "loading_share_of_steps": (read + made + padded) / (epoch - padded),
    }
    emit("train", figures, GOALS)


if __name__ == "__main__":
    main()
