"""Decoded chunks as Arrow tables of one row: the frames are one buffer that nothing copies.

Ray Data keeps such a table in shared memory, and every process of the node reads the frames where
they are. As Python bytes or nested arrays they would be copied several times on the way.

t frames of a chunk · H height · W width · R rows of a table
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from exvad.aegm.chunk_task import ChunkTask
from exvad.video.decoding import DecodedChunk

SCHEMA = pa.schema(
    [
        ("outcome", pa.string()),
        ("task", pa.string()),
        ("frames", pa.large_binary()),  # binary holds 2 GiB per column
        ("shape", pa.list_(pa.int64())),
    ]
)


@dataclass(frozen=True)
class ChunkRow:
    """A chunk on its way from decoding to the actors.

    Args:
        outcome: how it went so far, as JSON of `Outcome`.
        task: the chunk; None if it could not be decoded.
        decoded: its frames, which are read-only after transport; None without a task.
    """

    outcome: str
    task: ChunkTask | None = None
    decoded: DecodedChunk | None = None


def write_chunk(row: ChunkRow) -> pa.Table:
    """Return the table of a chunk, which refers to the memory of the frames."""
    task_json, frames_tHWC = "", np.empty(0, np.uint8)
    if row.task is not None and row.decoded is not None:
        task_json = json.dumps(row.task.to_row())
        frames_tHWC = np.ascontiguousarray(row.decoded.frames)
    ends = pa.py_buffer(np.array([0, frames_tHWC.nbytes], np.int64))
    content = pa.py_buffer(frames_tHWC.reshape(-1))
    shape = list(frames_tHWC.shape) if task_json else []
    columns = [
        pa.array([row.outcome], pa.string()),
        pa.array([task_json], pa.string()),
        pa.LargeBinaryArray.from_buffers(pa.large_binary(), 1, [None, ends, content]),
        pa.array([shape], pa.list_(pa.int64())),
    ]
    return pa.table(columns, schema=SCHEMA)


def read_chunks(table: pa.Table) -> Iterator[ChunkRow]:
    """Yield the chunks of a table; the frames stay where they are.

    Args:
        table: one or more tables of `write_chunk`, of frames of any size.
    """
    buffers = [buffer for chunk in table["frames"].chunks for buffer in _row_buffers(chunk)]
    names = ("outcome", "task", "shape")
    columns = (table[name].to_pylist() for name in names)
    for outcome, task_json, shape, buffer in zip(*columns, buffers, strict=True):
        if not task_json:
            yield ChunkRow(outcome)
            continue
        task = ChunkTask.from_row(json.loads(task_json))
        frames_tHWC = np.frombuffer(buffer, np.uint8).reshape(shape)
        yield ChunkRow(outcome, task, DecodedChunk(frames_tHWC, np.asarray(task.chunk.times), []))


def _row_buffers(array: pa.LargeBinaryArray) -> Iterator[pa.Buffer]:
    """Yield the bytes of each row of a column; unlike its scalars these are no copies."""
    _, ends, content = array.buffers()
    ends_R = np.frombuffer(ends, np.int64)[array.offset : array.offset + len(array) + 1]
    for start, end in pairwise(ends_R.tolist()):
        yield pa.py_buffer(b"") if content is None else content.slice(start, end - start)
