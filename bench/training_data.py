"""The data of a training on 100,000 videos: memory of a worker, and the gain of a second worker.

1. A store of some 2,000 videos is read into a worker's share, with no memory for features.
2. Workers train on 100,000 planted videos, 50 GB of features. No disk here holds them: what exceeds
   the memory is a sparse file, in which only the anomalies are written, and whose holes are read as
   zeros. Nothing else differs: the file is read at random, batch by batch, as in a training.
3. The same with few videos, which fit into the memory: a worker's share falls with the workers.

There is no GPU: a step of the network is a `sleep` of 10 milliseconds per video, followed by a
barrier in place of the exchange of gradients. So the figures are those of the data only; how fast
the data would be without a network is measured too, and what a second worker brings where a video
takes 100 milliseconds, as on two cores: there the data need few of the cores that two workers
share. Videos per second are measured over some steps of an epoch. A worker is a process; memory is
its peak resident set (VmHWM), libraries included.

    python -m bench.training_data [--quick] [--videos 100000] [--sleep 10]

T snippets · D feature width
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench._harness import emit
from bench.train import ABNORMAL, CLASSES, LOG_DEVIATION, VIDEOS, WIDTH, write_store
from exvad.config import load_config
from exvad.store.completeness import stored_lengths
from exvad.store.examples import VideoInput, collate
from exvad.store.shards.feature_shard import GIB, FeatureShard, ShardMemory, rows_needed
from exvad.store.shards.ragged import RaggedRows
from exvad.store.store import Store
from exvad.training.batches import video_owners, worker_batches
from exvad.training.data import StoredExamples, labels_of
from exvad.training.prefetch import prefetched

MEAN_SNIPPETS = 488  # 100,000 videos of 512 float16 values per snippet: 50 GB
MAX_SNIPPETS = 256
SLEEP = 10  # milliseconds per video
SLOW_SLEEP = 100  # what two cores take
SLOW_CACHE_GIB = 0.25  # an eighth of the features of the few videos stays in memory
SLOW_STEPS = 4
ANOMALY = 4  # snippets
GOALS: dict[str, tuple[str, float]] = {
    "one_worker_gib": ("<", 4),
    "two_workers_each_gib": ("<", 4),
    "two_workers_speedup": (">=", 1.7),
    "two_workers_speedup_at_100_ms": (">=", 1.7),
}


@dataclass(frozen=True)
class Training:
    """What a worker process measures.

    Args:
        videos: number of training videos.
        cache_gib: memory for features.
        steps: steps of the epoch that are made.
        workers: number of workers.
        sleep: seconds per video in place of the network.
    """

    videos: int
    cache_gib: float
    steps: int
    workers: int
    sleep: float = SLEEP / 1000


@dataclass(frozen=True)
class Measured:
    """What a worker process measured.

    Args:
        peak_gib: its peak resident set.
        videos: videos of its steps.
        seconds: duration of the steps.
    """

    peak_gib: float
    videos: int
    seconds: float


def peak_gib() -> float:
    """Return the peak resident set of this process so far."""
    status = Path("/proc/self/status").read_text()
    kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kib) / 2**20


def planted_examples(training: Training, rank: int) -> tuple[StoredExamples, float]:
    """Return the examples of a training, of which this worker has its share, and all their GB."""
    rng = np.random.default_rng(0)
    drawn_N = rng.lognormal(
        math.log(MEAN_SNIPPETS) - LOG_DEVIATION**2 / 2, LOG_DEVIATION, training.videos
    )
    lengths_N = np.maximum(ANOMALY, drawn_N.astype(int))
    ids = [f"v{number}" for number in range(training.videos)]
    labels_N = np.arange(training.videos) % len(CLASSES)
    labels_N[training.videos * ABNORMAL // VIDEOS :] = 0
    targets_NC = np.eye(len(CLASSES), dtype=np.float32)[labels_N]
    owners_N = video_owners(ids, targets_NC, training.workers)
    own = np.flatnonzero(owners_N == rank)
    memory = int(training.cache_gib * GIB)
    rows = RaggedRows(
        [rows_needed(length, MAX_SNIPPETS) for length in lengths_N[own].tolist()], WIDTH, memory
    )
    noise_TD = rng.standard_normal((MAX_SNIPPETS, WIDTH), np.float32)
    directions_CD = rng.standard_normal((len(CLASSES), WIDTH), np.float32)
    for index, video in enumerate(own.tolist()):
        # More videos than stay in memory are written in full, of the others the anomaly only.
        in_memory = (index + 1) * MEAN_SNIPPETS * WIDTH * 2 < memory
        anomaly_TD = np.repeat(directions_CD[labels_N[video]][None], ANOMALY, axis=0)
        video_TD = np.concatenate([anomaly_TD, noise_TD[ANOMALY:]]) if in_memory else anomaly_TD
        if lengths_N[video] > MAX_SNIPPETS:
            rows.write_wide(index, video_TD)
        else:
            rows.write(index, 0, video_TD[: lengths_N[video]].astype(np.float16))
    lengths = {(ids[video], 0): int(lengths_N[video]) for video in own.tolist()}
    shard = FeatureShard(rows, lengths, MAX_SNIPPETS)

    def read(row: int) -> VideoInput:
        return shard.inputs(ids[row], 0)

    return StoredExamples(ids, targets_NC, MAX_SNIPPETS, read), int(
        lengths_N.sum()
    ) * WIDTH * 2 / 1e9


def train_steps(
    training: Training, rank: int, barrier: Barrier, results: multiprocessing.SimpleQueue[Measured]
) -> None:
    """Make steps of the first epoch in a worker process."""
    config = load_config("ucf_crime", ["data.root=.", "data.annotations=.", "model.text=none"])
    examples, _ = planted_examples(training, rank)
    ids, targets_NC = labels_of(examples)
    batches: list[NDArray[np.intp]] = worker_batches(
        ids, targets_NC, config.train.batch_size, True, 0, 0, rank, training.workers
    )
    padded = prefetched(collate([examples[row] for row in batch]) for batch in batches)
    next(padded)
    barrier.wait()
    videos, start = 0, time.perf_counter()
    for batch in islice(padded, training.steps):
        time.sleep(training.sleep * len(batch.video_ids))
        videos += len(batch.video_ids)
        barrier.wait()
    seconds = time.perf_counter() - start
    padded.close()
    results.put(Measured(peak_gib(), videos, seconds))


def measure(training: Training) -> list[Measured]:
    """Run the workers of a training at the same time."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(training.workers), context.SimpleQueue()
    processes = [
        context.Process(target=train_steps, args=(training, rank, barrier, results))
        for rank in range(training.workers)
    ]
    for process in processes:
        process.start()
    measured = [results.get() for _ in processes]
    print(training, measured, file=sys.stderr)
    for process in processes:
        process.join()  # frees the files
    return measured


def speed(measured: list[Measured]) -> float:
    """Return the videos per second of all workers together."""
    return sum(each.videos for each in measured) / max(each.seconds for each in measured)


def load_store(num_videos: int) -> dict[str, float]:
    """Read a store into a worker's share; return speed and memory."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        manifest = write_store(store, num_videos, np.random.default_rng(0))
        crops = {video.video_id: (0,) for video in manifest.videos}
        before, start = peak_gib(), time.perf_counter()
        lengths, _ = stored_lengths(store, crops, "none")
        FeatureShard.load(store, lengths, "none", MAX_SNIPPETS, ShardMemory(0))
        seconds = time.perf_counter() - start
    gigabytes = sum(lengths.values()) * WIDTH * 2 / 1e9
    return {
        "loaded_gb": gigabytes,
        "loaded_mb_per_second": 1000 * gigabytes / seconds,
        "loading_grows_peak_memory_by_gib": peak_gib() - before,
    }


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the videos and steps")
    parser.add_argument("--videos", type=int, default=100_000, help="videos [%(default)s]")
    parser.add_argument(
        "--sleep", type=float, default=SLEEP, help="milliseconds per video [%(default)s]"
    )
    options = parser.parse_args()
    part, sleep = 10 if options.quick else 1, options.sleep / 1000
    many, few, steps = options.videos // part, 4_000 // part, 60 // part
    loaded = load_store(2_000 // part)
    one, two = (measure(Training(many, 2, steps, workers, sleep)) for workers in (1, 2))
    alone = measure(Training(many, 2, steps // 2, 1, sleep=0))
    one_fits, two_fit = (measure(Training(few, 4, 10, workers, sleep)) for workers in (1, 2))
    one_slow, two_slow = (
        measure(Training(few, SLOW_CACHE_GIB, SLOW_STEPS, workers, SLOW_SLEEP / 1000))
        for workers in (1, 2)
    )
    metrics = {
        **loaded,
        "videos": many,
        "features_gb": planted_examples(Training(many, 0, 0, 1), 0)[1],
        "one_worker_gib": max(each.peak_gib for each in one),
        "two_workers_each_gib": max(each.peak_gib for each in two),
        "one_worker_videos_per_second": speed(one),
        "two_workers_videos_per_second": speed(two),
        "two_workers_speedup": speed(two) / speed(one),
        "one_worker_videos_per_second_at_100_ms": speed(one_slow),
        "two_workers_videos_per_second_at_100_ms": speed(two_slow),
        "two_workers_speedup_at_100_ms": speed(two_slow) / speed(one_slow),
        "data_alone_videos_per_second": speed(alone),
        "one_worker_all_in_memory_gib": max(each.peak_gib for each in one_fits),
        "two_workers_all_in_memory_each_gib": max(each.peak_gib for each in two_fit),
    }
    emit("training_data", metrics, GOALS)


if __name__ == "__main__":
    main()
