"""The time that a vision actor takes beside its models, which are fakes here."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import ray

from exvad.aegm.chunk_task import ChunkTask
from exvad.aegm.vision_stage import VisionStage
from exvad.config import Config, load_config
from exvad.pipeline.session import ray_session
from exvad.pipeline.stages import vision
from exvad.pipeline.stages.frame_columns import ChunkRow, read_chunks, write_chunk
from exvad.pipeline.stages.outcomes import Outcome
from exvad.store.store import Stage, Store
from exvad.video.chunks import Chunk
from exvad.video.decoding import DecodedChunk

if TYPE_CHECKING:
    from numpy.typing import NDArray

SNIPPETS, CAPTIONS = 256, 32  # per chunk
SIZE = (256, 455)  # height and width of 16:9 videos at data.short_side=256
VISION_WIDTH = 512


class FakeModels:
    """An encoder and a captioner that return at once."""

    width = VISION_WIDTH

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the same feature for every frame."""
        return np.ones((len(frames), self.width), np.float32)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the same feature for every text."""
        return np.ones((len(texts), self.width), np.float32)

    def caption_clips(self, clips: Sequence[NDArray[np.uint8]]) -> list[str]:
        """Return the same caption for every clip."""
        return ["frames"] * len(clips)

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Return the same caption for every frame."""
        return ["a frame"] * len(frames)


class FakeActor(vision.VisionActor):
    """The actor of the job with fake models."""

    def __init__(self, _: Config, stage: Stage) -> None:
        self.stage, self.crops = stage, 1
        self.vision = VisionStage(FakeModels(), FakeModels())


def make_chunk(number: int) -> pa.Table:
    """Return a decoded chunk of a long video as it travels to the actor."""
    first = number * SNIPPETS
    snippets = range(first, first + SNIPPETS)
    times = tuple(16 / 30 * snippet for snippet in snippets)
    pts = tuple(512 * 16 * snippet for snippet in snippets)
    chunk = Chunk("v", "v.mp4", number, first, 16 * first, 16, times, pts, (pts[0],))
    task = ChunkTask(chunk, 99, 99 * 16 * SNIPPETS, 30.0, tuple(snippets[:: SNIPPETS // CAPTIONS]))
    frames = np.random.default_rng(number).integers(0, 256, (SNIPPETS, *SIZE, 3), np.uint8)
    return write_chunk(
        ChunkRow(Outcome("v").to_json(), task, DecodedChunk(frames, np.array(times), []))
    )


def measure_host_time(folder: Path, chunks: int) -> dict[str, float]:
    """Give decoded chunks in shared memory to the actor, in batches as Ray Data does."""
    config = load_config("demo")
    actor = FakeActor(config, Store(str(folder / "store")).stage("vision", {"bench": 1}))
    size = config.stages.vision_batch
    walls, cpus, reads = [], [], []
    with ray_session():
        references = [ray.put(make_chunk(number)) for number in range(size)]
        for _ in range(chunks // size):
            wall, cpu = time.perf_counter(), time.thread_time()
            batch = pa.concat_tables(ray.get(references))
            actor(batch)
            walls.append(time.perf_counter() - wall)
            cpus.append(time.thread_time() - cpu)
            start = time.perf_counter()
            assert len(list(read_chunks(batch))) == size
            reads.append(time.perf_counter() - start)
    return {
        "host_ms_per_chunk": 1000 * statistics.median(walls) / size,
        "host_cpu_ms_per_chunk": 1000 * statistics.median(cpus) / size,
        "frames_ms_per_chunk": 1000 * statistics.median(reads) / size,
    }
