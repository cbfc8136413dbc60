"""Planning and decoding of videos on Ray Data; the steps that read the frames follow."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import ray.data

from exvad.aegm.chunk_task import ChunkTask
from exvad.aegm.vision_stage import plan_video
from exvad.data.storage.errors import StorageError
from exvad.pipeline.stages.decoders import job_decoder, max_chunk_bytes
from exvad.pipeline.stages.frame_columns import ChunkRow, write_chunk
from exvad.pipeline.stages.outcomes import Outcome
from exvad.video.container import VideoError

if TYPE_CHECKING:
    import pyarrow as pa

    from exvad.config import Config

ChunkKey = tuple[str, int]  # video, number of the chunk

BATCHES_AHEAD = 3


def plan_chunks(
    row: Mapping[str, Any], config: Config, done: Collection[ChunkKey]
) -> list[dict[str, Any]]:
    """Cut a video into chunks.

    Args:
        row: a video: `video_id`, `path` and `captions`, which is JSON of snippet → caption with
            the captions that are written already.
        config: how videos are cut.
        done: the chunks that the store holds already.

    Returns:
        A row per chunk that is not done: `outcome` and `task`, the latter empty for a video that
        can't be read, or not at present.
    """
    try:
        _, tasks = plan_video(row["video_id"], row["path"], config, job_decoder(config))
    except (VideoError, StorageError) as error:
        return [{"outcome": Outcome.failure(row["video_id"], error).to_json(), "task": ""}]
    written = json.loads(row["captions"])
    tasks = [task.with_captions(written) for task in tasks]
    return [
        {"outcome": Outcome(task.chunk.video_id).to_json(), "task": json.dumps(task.to_row())}
        for task in tasks
        if (task.chunk.video_id, task.chunk.chunk) not in done
    ]


def decode_rows(planned: pa.Table, config: Config) -> pa.Table:
    """Decode a chunk.

    Args:
        planned: one row of `plan_chunks`.
        config: the size of the frames, and where they are decoded.

    Returns:
        A table of `write_chunk`; without a task if decoding failed.
    """
    (row,) = planned.to_pylist()
    if not row["task"]:
        return write_chunk(ChunkRow(row["outcome"]))
    task = ChunkTask.from_row(json.loads(row["task"]))
    video_id = task.chunk.video_id
    try:
        decoded = job_decoder(config).decode(task.chunk, config.data.short_side)
    except (VideoError, StorageError) as error:
        return write_chunk(ChunkRow(Outcome.failure(video_id, error).to_json()))
    outcome = Outcome(video_id, message="; ".join(decoded.problems)).to_json()
    return write_chunk(ChunkRow(outcome, task, decoded))


def decode_videos(
    config: Config, videos: list[dict[str, Any]], done: Collection[ChunkKey]
) -> ray.data.Dataset:
    """Return the data set of the decoded chunks of videos.

    Args:
        config: how videos are cut, and the resources of decoding.
        videos: rows of `video_id`, `path` and `captions`; see `plan_chunks`.
        done: the chunks to skip.
    """
    with ray.data.DataContext.current(_context_of_large_rows(config)):
        rows = ray.data.from_items(videos, override_num_blocks=len(videos))
    cpus = config.stages.decode_cpus
    return rows.flat_map(
        plan_chunks, fn_kwargs={"config": config, "done": done}, num_cpus=cpus
    ).map_batches(
        decode_rows,
        fn_kwargs={"config": config},
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=cpus,
        # The frames, and as much for the decoder. A memory request also keeps Ray Data from fusing
        # this step with planning, and from decoding where the encoder would wait.
        memory=2 * _max_chunk_bytes(config),
    )


def _max_chunk_bytes(config: Config) -> int:
    return max_chunk_bytes(config.data.short_side, config.data.snippets_per_chunk)


def _context_of_large_rows(config: Config) -> ray.data.DataContext:
    """Return Ray Data's settings for rows that are large and take different amounts of work.

    Every row is a block of its own. Otherwise one task would decode all chunks of a video. (A
    repartition has the same effect, but its tasks request a whole core, which nodes full of actors
    never have.) Decoding runs only a few batches ahead of the actors, however long a video is.
    """
    context = ray.data.DataContext.get_current().copy()
    context.target_max_block_size = 1
    stages = config.stages
    # Known after placement; captioning by vLLM has engines in place of actors.
    actors = stages.vision.max_actors or stages.vision.min_actors
    chunks = BATCHES_AHEAD * actors * stages.vision_batch
    context.execution_options.resource_limits = ray.data.ExecutionResources.for_limits(
        object_store_memory=chunks * _max_chunk_bytes(config)
    )
    return context
