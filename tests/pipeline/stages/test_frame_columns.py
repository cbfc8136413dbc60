"""Decoded chunks as Arrow tables: nothing copies their frames."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from exvad.aegm.chunk_task import ChunkTask
from exvad.pipeline.stages.frame_columns import ChunkRow, read_chunks, write_chunk
from exvad.video.chunks import Chunk
from exvad.video.decoding import DecodedChunk


def make_row(video_id: str, shape: tuple[int, int, int]) -> ChunkRow:
    times = tuple(float(snippet) for snippet in range(shape[0]))
    chunk = Chunk(video_id, f"{video_id}.mp4", 0, 0, 0, 16, times, (), (3, 1))
    frames = np.random.default_rng(len(video_id)).integers(0, 256, (*shape, 3), np.uint8)
    task = ChunkTask(chunk, 1, 16 * shape[0], 30.0, (0,), ("a fire",))
    return ChunkRow(f"outcome of {video_id}", task, DecodedChunk(frames, np.array(times), []))


def assert_equal(left: ChunkRow, right: ChunkRow) -> None:
    assert (left.outcome, left.task) == (right.outcome, right.task)
    assert (left.decoded is None) == (right.decoded is None)
    if left.decoded is not None and right.decoded is not None:
        np.testing.assert_array_equal(left.decoded.frames, right.decoded.frames)
        np.testing.assert_array_equal(left.decoded.times, right.decoded.times)


def test_read_chunks_returns_what_was_written_whatever_the_size_of_the_frames() -> None:
    rows = [
        make_row("a", (3, 4, 6)),
        ChunkRow("failed"),
        make_row("bb", (5, 8, 2)),
        make_row("ccc", (1, 1, 1)),
    ]
    table = pa.concat_tables([write_chunk(row) for row in rows])
    for tables in (table, table.combine_chunks()):
        for read, row in zip(read_chunks(tables), rows, strict=True):
            assert_equal(read, row)
        for read, row in zip(read_chunks(tables.slice(2)), rows[2:], strict=True):
            assert_equal(read, row)
    (failed,) = read_chunks(write_chunk(ChunkRow("failed")))
    assert failed == ChunkRow("failed", None, None)


def test_frames_stay_where_they_are() -> None:
    rows = [make_row("a", (3, 4, 6)), make_row("b", (5, 8, 2))]
    read = list(read_chunks(pa.concat_tables([write_chunk(row) for row in rows])))
    for before, after in zip(rows, read, strict=True):
        assert before.decoded is not None
        assert after.decoded is not None
        assert np.shares_memory(before.decoded.frames, after.decoded.frames)


def test_write_chunk_takes_frames_that_are_not_contiguous() -> None:
    row = make_row("a", (4, 6, 8))
    assert row.decoded is not None
    turned = DecodedChunk(np.rot90(row.decoded.frames, axes=(1, 2)), row.decoded.times, [])
    (read,) = read_chunks(write_chunk(ChunkRow(row.outcome, row.task, turned)))
    assert_equal(read, ChunkRow(row.outcome, row.task, turned))
