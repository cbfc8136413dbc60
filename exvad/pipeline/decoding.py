"""Planning and decoding of videos as stages of Ray Data; whoever looks at the frames comes next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from exvad.pipeline.stages import Outcome

if TYPE_CHECKING:
    from exvad.aegm.vision_stage import ChunkTask
    from exvad.config import Config
    from exvad.video.decoding import DecodedChunk

VISION_BATCH = 4
BATCHES_AHEAD = 3
WIDEST = 16 / 9  # sides of a frame, as most videos have them at most


def plan(
    row: Mapping[str, Any], config: Config, done: set[tuple[str, int]]
) -> list[dict[str, Any]]:
    """Stage input: a video. Output: a row per chunk that is not in the store yet.

    The video's `captions`, JSON of snippet → caption, are those written already.
    """
    from exvad.aegm.vision_stage import plan_video
    from exvad.video.container import VideoError

    try:
        _, tasks = plan_video(row["video_id"], row["path"], config)
    except VideoError as error:
        return [{"outcome": Outcome.of(row["video_id"], error).to_json(), "task": ""}]
    written = json.loads(row["captions"])
    tasks = [task.with_captions(written) for task in tasks]
    return [
        {"outcome": Outcome(task.chunk.video_id).to_json(), "task": json.dumps(task.to_row())}
        for task in tasks
        if (task.chunk.video_id, task.chunk.chunk) not in done
    ]


def decode(row: Mapping[str, Any], short_side: int) -> dict[str, Any]:
    """Stage input: a chunk. Output: the same with its frames, as bytes."""
    from exvad.aegm.vision_stage import ChunkTask
    from exvad.video.container import VideoError
    from exvad.video.decoding import decode_chunk

    unseen = {**row, "frames": b"", "shape": []}
    if not row["task"]:
        return unseen
    task = ChunkTask.from_row(json.loads(row["task"]))
    video_id = task.chunk.video_id
    try:
        decoded = decode_chunk(task.chunk, short_side)
    except VideoError as error:
        return {**unseen, "outcome": Outcome.of(video_id, error).to_json(), "task": ""}
    return {
        "outcome": Outcome(video_id, message="; ".join(decoded.problems)).to_json(),
        "task": row["task"],
        "frames": decoded.frames.tobytes(),
        "shape": list(decoded.frames.shape),
    }


def decoded_chunk(task: ChunkTask, frames: bytes, shape: Any) -> DecodedChunk:
    """Return the pictures that `decode` sent on."""
    from exvad.video.decoding import DecodedChunk

    pictures = np.frombuffer(frames, np.uint8).reshape(tuple(shape))
    return DecodedChunk(pictures, np.asarray(task.chunk.times), [])


def decoded_chunks(config: Config, videos: list[dict[str, Any]], done: set[tuple[str, int]]) -> Any:
    """Return the data set of the decoded chunks of some videos.

    Args:
        config: how they are cut and how decoding is spread.
        videos: rows of `video_id`, `path` and `captions`.
        done: chunks to leave out.
    """
    import ray

    with ray.data.DataContext.current(_chunk_by_chunk(config)):
        rows = ray.data.from_items(videos, override_num_blocks=len(videos))
    cpus = config.stages.decode_cpus
    return rows.flat_map(plan, fn_kwargs={"config": config, "done": done}, num_cpus=cpus).map(
        decode,
        fn_kwargs={"short_side": config.data.short_side},
        num_cpus=cpus,
        # The frames and their copy as bytes. A wish of its own also keeps Ray Data from making one
        # task of planning and decoding, or from decoding where the encoder would wait.
        memory=2 * _chunk_bytes(config),
    )


def _chunk_bytes(config: Config) -> int:
    """Return how large a chunk's frames are at most, for videos of the usual shapes."""
    data = config.data
    return int(3 * data.short_side**2 * WIDEST * data.snippets_per_chunk)


def _chunk_by_chunk(config: Config) -> Any:
    """Return Ray Data's settings for a data set whose rows are large and differ in work.

    Every row is a block of its own, or all chunks of a video would be decoded by one task. (A
    repartition would do that too, but its tasks want a whole core, which nodes full of actors
    never have.) Decoding runs ahead of the actors by a few batches only, however long a video is.
    """
    import ray

    context = ray.data.DataContext.get_current().copy()
    context.target_max_block_size = 1
    batches = BATCHES_AHEAD * config.stages.vision.max_actors
    context.execution_options.resource_limits = ray.data.ExecutionResources.for_limits(
        object_store_memory=batches * VISION_BATCH * _chunk_bytes(config)
    )
    return context
