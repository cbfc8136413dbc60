"""How long a run takes to find out what a store of 100,000 videos lacks, and what merging costs.

The store is in a real S3 endpoint over HTTP (moto), behind a proxy that answers every request after
30 ms. Videos have two chunks. Workers leave parts of four chunks and of 32 explanations; merged,
they are as many large parts as features of ViT-B/16 would fill. The features are left out.

- small_parts: nine tenths of the videos are done, and no part is merged.
- interrupted: the same, and all parts are merged but as many as a run leaves that is interrupted.
- merged: all videos are done, and all parts are merged.
- rerun: the whole command on the store of the case before, with nothing to do.

Merging: parts of four chunks with features of ViT-B/16.

    python -m bench.survey [--quick]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from bench._harness import ROOT, emit
from bench._survey_driver import peak_mib, video_name
from exvad.aegm.language_stage import language_fingerprint
from exvad.aegm.vision_stage import vision_fingerprint
from exvad.config import Config, load_config
from exvad.data.manifest import Manifest
from exvad.data.manifest_files import write_manifest
from exvad.data.records import Video
from exvad.pipeline.stages.tidying import MEANWHILE_PARTS
from exvad.store.index import compaction
from exvad.store.index.key_rows import encode_entries, table_entries
from exvad.store.parts import new_part_name
from exvad.store.row_tables import build_table
from exvad.store.store import Stage, Store
from tests.helpers.object_store import ObjectStore, environment, object_store

DELAY = 0.03  # seconds
VIDEOS = 100_000
CHUNKS = 2
SNIPPETS = 256
CHUNK_BYTES = SNIPPETS * 512 * 2  # float16 features of ViT-B/16
VISION_BATCH, LANGUAGE_BATCH = 4, 32
ROWS_AT_ONCE = 2000
ROWS_PER_LARGE_PART = compaction.PART_BYTES // CHUNK_BYTES
CLASSES = ("Normal", "Fighting")
MERGED_PARTS = 512
MAX_NAME = 900  # bytes, in a bucket

Row = dict[str, Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    videos = VIDEOS // 50 if quick else VIDEOS
    with tempfile.TemporaryDirectory() as folder:
        metrics = {
            "videos": float(videos),
            **measure_small_parts(Path(folder) / "small", videos),
            **measure_interrupted(Path(folder) / "interrupted", videos),
            **measure_merged(Path(folder) / "merged", videos),
            **measure_merging(MERGED_PARTS // 8 if quick else MERGED_PARTS),
        }
    goals = {
        "small_parts_seconds": ("<=", 60.0),
        "small_parts_driver_gib": ("<=", 1.0),
        "interrupted_seconds": ("<=", 60.0),
        "interrupted_driver_gib": ("<=", 1.0),
        "merged_seconds": ("<=", 60.0),
        "merged_driver_gib": ("<=", 1.0),
        "rerun_seconds": ("<=", 90.0),
        "rerun_driver_gib": ("<=", 1.0),
        "requests_per_large_part_written": ("<=", 2.0),
    }
    emit("survey", metrics, goals)


def measure_small_parts(folder: Path, videos: int) -> dict[str, float]:
    """Return what the survey takes where no part is merged."""
    done = [video_name(index) for index in range(videos) if index % 10]
    store = Store(folder)
    with object_store() as bucket:
        small = plant_small_parts(bucket, store.stage("vision", {}), done)
        small += plant_small_parts(bucket, store.stage("language", {}), done)
        note(f"{small} small parts are planted")
        return {"small_parts": float(small), **survey(bucket, "small_parts", videos)}


def measure_interrupted(folder: Path, videos: int) -> dict[str, float]:
    """Return what the survey takes after an interruption."""
    done = [video_name(index) for index in range(videos) if index % 10]
    late = MEANWHILE_PARTS * VISION_BATCH // CHUNKS * videos // VIDEOS
    store = Store(folder)
    vision = store.stage("vision", {})
    large = plant_merged(vision, done[:-late])
    store.stage("language", {})
    with object_store() as bucket:
        upload(bucket, folder)
        small = plant_small_parts(bucket, vision, done[-late:])
        note(f"{large} large and {small} small parts are planted")
        return survey(bucket, "interrupted", videos)


def measure_merged(folder: Path, videos: int) -> dict[str, float]:
    """Return what the survey and a run with nothing to do take where parts are merged."""
    done = [video_name(index) for index in range(videos)]
    manifest = Manifest(
        CLASSES, tuple(Video(name, f"/nowhere/{name}.mp4", "train", (CLASSES[0],)) for name in done)
    )
    config = load_config("demo", [f"run={folder / 'run'}"])
    write_manifest(manifest, str(folder / "videos.parquet"))
    store, vision_settings = Store(folder / "store"), vision_fingerprint(config)
    language_settings = {
        **language_fingerprint(config, manifest.classes),
        "vision": vision_settings,
    }
    large = plant_merged(store.stage("vision", vision_settings), done)
    large += plant_merged(store.stage("language", language_settings), done)
    with object_store() as bucket:
        upload(bucket, folder / "store")
        note(f"{large} large parts are planted")
        return {
            "large_parts": float(large),
            **survey(bucket, "merged", videos),
            **rerun(bucket, folder, config),
        }


def measure_merging(parts: int) -> dict[str, float]:
    """Return what it takes to merge small parts with features of full size."""
    rng = np.random.default_rng(0)
    features_tD = rng.normal(size=(SNIPPETS, 512)).astype(np.float16)
    with object_store() as bucket:
        stage = Store(bucket.url("store")).stage("vision", {})
        videos = (video_name(index) for index in range(parts * VISION_BATCH // CHUNKS))
        rows = vision_rows(list(videos), features_tD)
        for batch in batches(rows, VISION_BATCH):
            stage.append(batch)
        bucket.proxy.delay = DELAY
        bucket.proxy.requests.clear()
        begin = time.perf_counter()
        merged = compaction.compact(stage)
        seconds = time.perf_counter() - begin
        requests = list(bucket.proxy.requests)
        large = len(stage.snapshot().large)
    written = sum(method == "PUT" and not path.endswith(".json") for method, path in requests)
    return {
        "merging_small_parts": float(merged),
        "merging_seconds": seconds,
        "merging_mib_per_second": parts * VISION_BATCH * CHUNK_BYTES / 2**20 / seconds,
        "merging_requests_per_small_part": len(requests) / merged,
        "requests_per_large_part_written": written / large,
    }


def survey(bucket: ObjectStore, name: str, videos: int) -> dict[str, float]:
    """Run the driver's survey in a process of its own; return what it took."""
    bucket.proxy.delay = DELAY
    bucket.proxy.requests.clear()
    command = [sys.executable, "-m", "bench._survey_driver", bucket.url("store"), str(videos)]
    before = time.process_time()
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(finished.stdout)
    note(f"{name}: {found}")
    return {
        f"{name}_seconds": found["seconds"],
        # Of the server and the proxy, which are in this process, and of the driver with its start.
        f"{name}_server_cpu_seconds": time.process_time() - before,
        f"{name}_driver_cpu_seconds": found["cpu_seconds"],
        f"{name}_requests": float(len(bucket.proxy.requests)),
        f"{name}_driver_gib": found["peak_mib"] / 1024,
        f"{name}_to_encode": float(found["to_encode"]),
    }


def rerun(bucket: ObjectStore, folder: Path, config: Config) -> dict[str, float]:
    """Run the whole command with nothing to do; return what it took."""
    command = [
        *(sys.executable, "-m", "exvad.cli", "preprocess", "--preset", "demo", "--no-check"),
        *("data.kind=manifest", f"data.manifest={folder / 'videos.parquet'}"),
        *(f"run={config.run}", f"store={bucket.url('store')}"),
    ]
    bucket.proxy.requests.clear()
    begin, peak = time.perf_counter(), 0.0
    variables = {**os.environ, **environment(bucket.proxy.url)}
    with subprocess.Popen(command, cwd=ROOT, env=variables, stdout=sys.stderr) as process:
        while process.poll() is None:
            peak = max(peak, peak_mib(process.pid))
            time.sleep(0.1)
    seconds = time.perf_counter() - begin
    assert process.returncode == 0
    return {
        "rerun_seconds": seconds,
        "rerun_requests": float(len(bucket.proxy.requests)),
        "rerun_driver_gib": peak / 1024,
    }


def plant_small_parts(bucket: ObjectStore, stage: Stage, videos: list[str]) -> int:
    """Put parts as workers write them into a bucket; the survey does not read what is in them.

    Returns:
        The number of parts.
    """
    batch = VISION_BATCH if stage.name == "vision" else LANGUAGE_BATCH
    count = 0
    for at_once in batches(rows_of(stage, videos), ROWS_AT_ONCE // batch * batch):
        table, _ = build_table(stage.name, at_once, None)
        for start in range(0, len(table), batch):
            entries = table_entries(stage.name, table.slice(start, batch))
            assert entries is not None
            name = new_part_name(encode_entries(stage.name, entries), MAX_NAME)
            put(bucket, f"store/{stage.name}/{name}", b"")
            count += 1
    put(bucket, f"store/{stage.name}/stage.json", stage.folder.read_bytes("stage.json") or b"")
    return count


def plant_merged(stage: Stage, videos: list[str]) -> int:
    """Fill a stage of a local store and merge its parts; return the number of large parts."""
    size, is_vision = 0, stage.name == "vision"
    for batch in batches(
        rows_of(stage, videos), ROWS_PER_LARGE_PART if is_vision else ROWS_AT_ONCE
    ):
        table, _ = build_table(stage.name, batch, None)
        size += table.nbytes
        stage.append(table)
    # As many large parts, with as many row groups, as features of full size would give.
    share = size / (CHUNK_BYTES * CHUNKS * len(videos)) if is_vision else 1
    with (
        patch.object(compaction, "PART_BYTES", int(compaction.PART_BYTES * share)),
        patch.object(compaction, "GROUP_BYTES", int(compaction.GROUP_BYTES * share)),
    ):
        compaction.compact(stage, min_parts=2)
    return len(stage.snapshot().large)


def rows_of(stage: Stage, videos: list[str]) -> Iterator[Row]:
    """Yield the rows of videos for a stage."""
    return vision_rows(videos) if stage.name == "vision" else language_rows(videos)


def upload(bucket: ObjectStore, folder: Path) -> None:
    """Put the files of a local store into a bucket."""
    for path in folder.rglob("*"):
        if path.is_file():
            put(bucket, f"store/{path.relative_to(folder).as_posix()}", path.read_bytes())


def put(bucket: ObjectStore, name: str, data: bytes) -> None:
    """Put an object past the HTTP interface of the server, which runs in this process."""
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(bucket.bucket, name, data)


def vision_rows(videos: list[str], features_tD: Any = None) -> Iterator[Row]:
    """Yield the rows of the vision stage; without features, with little ones."""
    visual_tD = np.ones((4, 8), np.float16) if features_tD is None else features_tD
    snippets = len(visual_tD)
    for video in videos:
        for chunk in range(CHUNKS):
            first = chunk * snippets
            yield {
                "video_id": video,
                "chunk": chunk,
                "crop": 0,
                "first_snippet": first,
                "num_chunks": CHUNKS,
                "visual": visual_tD,
                "times": np.arange(first, first + snippets) * 0.64,
                "caption_snippets": [first],
                "captions": ["a man"],
                "num_frames": CHUNKS * snippets * 16,
                "fps": 25.0,
            }


def language_rows(videos: list[str]) -> Iterator[Row]:
    """Yield the rows of the language stage."""
    plain: Mapping[str, Any] = {
        "captions": ["a man"],
        "caption_snippets": [0],
        "cleaned_captions": ["a man"],
        "changed": 0,
        "explanation": "Nothing happens.",
        "record": "{}",
        "text": np.ones(8, np.float16),
        "caption_text": np.ones((1, 8), np.float16),
        "llm": "planted",
        "prompt": "planted",
    }
    for video in videos:
        yield {"video_id": video, **plain}


def batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Yield the rows in lists of a size."""
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def note(text: str) -> None:
    """Print how far the benchmark is."""
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
