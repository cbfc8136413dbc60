"""The cost of loading the data of one epoch, compared with the steps, at the size of UCF-Crime.

Loading is everything before the network: reading the store, making the examples, padding the
batches. The features are random. The lengths are log-normal as those of UCF-Crime's test videos,
with the mean of the whole data set (128 hours, 1,900 videos, 30 frames per second).

    python -m bench.train [--quick]
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench._harness import emit
from exvad.config import load_config
from exvad.data.manifest import Manifest
from exvad.data.records import Split, Video
from exvad.inference.network import build_network
from exvad.store.examples import collate
from exvad.store.feature_bank import FeatureBank
from exvad.store.store import Store
from exvad.training.batches import epoch_batches
from exvad.training.data import training_data
from exvad.training.trainer import Trainer

WIDTH, VIDEOS, ABNORMAL, CHUNK = 512, 1610, 810, 256
MEAN_SNIPPETS, LOG_DEVIATION = 128 * 3600 * 30 / 16 / 1900, 1.01
CLASSES = ("Normal", *(f"class {number}" for number in range(1, 14)))
GOALS: dict[str, tuple[str, float]] = {"loading_share_of_steps": ("<", 0.1)}


def write_store(store: Store, num_videos: int, rng: np.random.Generator) -> Manifest:
    """Fill the vision stage of a store with random features; return the data set."""
    drawn_N = rng.lognormal(
        math.log(MEAN_SNIPPETS) - LOG_DEVIATION**2 / 2, LOG_DEVIATION, num_videos
    )
    stage = store.stage("vision", {"random": num_videos})
    videos = []
    for index, length in enumerate(np.maximum(2, drawn_N.astype(int)).tolist()):
        # Every eleventh video is a validation video, as with `validation: 0.1`.
        split: Split = "val" if index % 11 == 0 else "train"
        abnormal = index < num_videos * ABNORMAL // VIDEOS
        label = CLASSES[1 + index % 13 if abnormal else 0]
        videos.append(Video(f"v{index}", "x.mp4", split, (label,)))
        chunks = math.ceil(length / CHUNK)
        stage.append(
            [
                {
                    "video_id": f"v{index}", "chunk": chunk, "crop": 0,
                    "first_snippet": chunk * CHUNK, "num_chunks": chunks,
                    "visual": random_rows(min(CHUNK, length - chunk * CHUNK), rng),
                    "times": np.arange(chunk * CHUNK, min(length, (chunk + 1) * CHUNK)) * 16 / 30,
                    "caption_snippets": [], "captions": [], "num_frames": length * 16, "fps": 30.0,
                }
                for chunk in range(chunks)
            ]
        )  # fmt: skip
    return Manifest(CLASSES, tuple(videos))


def random_rows(count: int, rng: np.random.Generator) -> NDArray[np.float16]:
    """Return random features, float16 [count, D]."""
    return rng.standard_normal((count, WIDTH), np.float32).astype(np.float16)


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the videos")
    num_videos = VIDEOS // 10 if parser.parse_args().quick else VIDEOS
    config = load_config("ucf_crime", ["data.root=.", "data.annotations=.", "model.text=none"])
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        manifest = write_store(store, num_videos, rng)
        print(f"{num_videos} videos stored", file=sys.stderr)
        start = time.perf_counter()
        bank = FeatureBank.build(store, [video.video_id for video in manifest.videos])
        read_seconds = time.perf_counter() - start
        data = training_data(bank, manifest, config)
        make_seconds = time.perf_counter() - start - read_seconds
    targets_NC = np.stack([example.target_C for example in data.train])
    train = config.train
    batches = epoch_batches(targets_NC, train.batch_size, train.balanced, train.seed, 0)
    start = time.perf_counter()
    for indices in batches:
        collate([data.train[index] for index in indices])
    pad_seconds = time.perf_counter() - start
    torch.manual_seed(0)
    network = build_network(config, WIDTH, len(CLASSES))
    label_CD = torch.randn(len(CLASSES), WIDTH)
    trainer = Trainer(network, label_CD, train, config.model.tau, torch.device("cpu"))
    start = time.perf_counter()
    trainer.train_epoch(data.train, 0)
    epoch_seconds = time.perf_counter() - start
    step_seconds = epoch_seconds - pad_seconds
    metrics = {
        "videos": num_videos,
        "snippets": int(bank.visual.shape[0]),
        "reading_the_store_seconds": read_seconds,
        "making_examples_seconds": make_seconds,
        "padding_batches_seconds": pad_seconds,
        "epoch_seconds": epoch_seconds,
        "padding_share_of_steps": pad_seconds / step_seconds,
        "loading_share_of_steps": (read_seconds + make_seconds + pad_seconds) / step_seconds,
    }
    emit("train", metrics, GOALS)


if __name__ == "__main__":
    main()
