"""Merging many small parts of a stage into few large ones, while others write and read.

It may be interrupted anywhere, and any number of compactions may run at the same time: a row is
never lost, and a reader that takes the files of one snapshot gets each row once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from exvad.store.index.key_rows import KEY_COLUMNS, entries_table, table_entries
from exvad.store.index.snapshot import (
    COMPACTED,
    RECORD_FORMAT,
    LargePart,
    Snapshot,
    list_compacted,
    newest_generation,
    record_name,
)
from exvad.store.index.spread import Spread, over_threads
from exvad.store.parts import PARQUET, Piece

if TYPE_CHECKING:
    from exvad.store.store import Stage

Outcome = Literal["counts", "lost", "unknown"]

MIN_PARTS = 64
PARTS_PER_TASK = 128
PARTS_PER_ROUND = 8192  # bounds what is stored twice for a while
PART_BYTES = 64 << 20  # of the rows in memory
GROUP_BYTES = 4 << 20
_THREADS = over_threads(2)  # each holds a large part that is being made


def is_worth_compacting(snapshot: Snapshot, min_parts: int = MIN_PARTS) -> bool:
    """Return whether a stage has many small parts, or files that an earlier compaction left.

    Args:
        snapshot: of the stage.
        min_parts: how many parts are many.
    """
    return len(snapshot.parts) >= min_parts or bool(snapshot.leftovers)


def compact(stage: Stage, spread: Spread = _THREADS, min_parts: int = MIN_PARTS) -> int:
    """Merge the small parts of a stage.

    Memory holds one large part per call of the function that is spread.

    Args:
        stage: the stage, open for writing.
        spread: how the merging is spread.
        min_parts: fewer parts stay as they are.

    Returns:
        The number of parts that were replaced; 0 if another compaction was faster.

    Raises:
        CorruptPartError, ValueError: a part is damaged, or has features of another width. Nothing
            is lost.
        OSError: the disk is full. Nothing is lost.
        StorageError: storage does not answer. Nothing is lost.
    """
    assert stage.writable
    replaced = 0
    while stage.folder.place.creates_atomically:
        snapshot = stage.snapshot()
        stage.folder.remove(snapshot.leftovers)
        if len(snapshot.parts) < min_parts:
            break
        done = _compact_round(stage, snapshot, spread)
        replaced += done
        if not done:
            break
    return replaced


def _compact_round(stage: Stage, snapshot: Snapshot, spread: Spread) -> int:
    """Merge the first parts; return how many, 0 if another compaction was faster."""
    # Large parts that are still small are merged again. They are the last ones, so that the order
    # in which rows count stays the same.
    kept, small = list(snapshot.large), list[LargePart]()
    while kept and kept[-1].size < PART_BYTES // 4:
        small.insert(0, kept.pop())
    parts = snapshot.parts[:PARTS_PER_ROUND]
    pieces = [piece for part in small for piece in part.pieces()] + [Piece(name) for name in parts]
    tasks = [pieces[i : i + PARTS_PER_TASK] for i in range(0, len(pieces), PARTS_PER_TASK)]
    generation = snapshot.generation + 1
    begin = f"{COMPACTED}/{stage.settings_key}-{generation:08d}-{uuid.uuid4().hex[:8]}"
    try:
        made = list(spread(partial(merge_pieces, stage, begin), tasks))
    except FileNotFoundError:
        _discard(stage, begin)
        return 0  # another compaction has merged and deleted a part
    except BaseException:
        _discard(stage, begin)
        raise
    large = [*kept, *(part for parts_of_task in made for part in parts_of_task)]
    # After an error the record may be there or not: nothing is deleted.
    outcome = _commit(stage, generation, large, parts)
    if outcome == "lost":
        _discard(stage, begin)
    if outcome != "counts":
        return 0
    stage.folder.remove([*parts, *(name for part in small for name in part.files())])
    # The list of what was replaced has served. Without this record, only the list stays longer.
    _commit(stage, generation + 1, large, ())
    return len(parts)


def merge_pieces(stage: Stage, begin: str, pieces: Sequence[Piece]) -> list[LargePart]:
    """Write large parts with the rows of pieces, each key once; they do not count yet.

    Args:
        stage: the stage.
        begin: what the names of the large parts begin with.
        pieces: what to merge, in the order in which it counts.

    Raises:
        FileNotFoundError: a piece is gone, because another compaction was faster.
    """
    made: list[LargePart] = []
    waiting: list[pa.Table] = []
    for table in stage.first_rows(pieces):
        waiting.append(table)
        if sum(table.nbytes for table in waiting) >= PART_BYTES:
            made.append(_write_large(stage, begin, waiting))
            waiting = []
    if waiting:
        made.append(_write_large(stage, begin, waiting))
    return made


def _write_large(stage: Stage, begin: str, tables: Sequence[pa.Table]) -> LargePart:
    sink = pa.BufferOutputStream()
    groups = list(_row_groups(tables))
    with pq.ParquetWriter(sink, groups[0].schema, **PARQUET) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=max(1, len(group)))
    name = f"{begin}{uuid.uuid4().hex[:8]}.parquet"
    part = LargePart(name, len(groups), sum(group.nbytes for group in groups))
    stage.folder.write_bytes(part.name, memoryview(sink.getvalue()))
    columns = list(KEY_COLUMNS[stage.name])
    entries = [table_entries(stage.name, group.select(columns)) for group in groups]
    index = pa.BufferOutputStream()
    known = [(group, rows) for group, rows in enumerate(entries) if rows is not None]
    # Without the file, the keys are read from the part itself.
    if len(known) == len(entries):
        pq.write_table(entries_table(known), index, compression="zstd")
        stage.folder.write_bytes(part.keys_name, memoryview(index.getvalue()))
    return part


def _row_groups(tables: Sequence[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows again in tables of about `GROUP_BYTES`."""
    waiting: list[pa.Table] = []
    size = 0
    for table in tables:
        # A large table is cut, so that a reader of a few rows does not have to read it all.
        rows = max(1, GROUP_BYTES * len(table) // max(1, table.nbytes))
        for start in range(0, len(table), rows):
            waiting.append(table.slice(start, rows))
            size += waiting[-1].nbytes
            if size >= GROUP_BYTES:
                yield pa.concat_tables(waiting)
                waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def _commit(
    stage: Stage, generation: int, large: Sequence[LargePart], replaced: Sequence[str]
) -> Outcome:
    """Write a record, unless there is one of this number; return whether it counts."""
    name = record_name(stage.settings_key, generation)
    record = {
        "format": RECORD_FORMAT,
        "id": uuid.uuid4().hex,
        "large": [list(part) for part in large],
        "replaced": list(replaced),
    }
    content = json.dumps(record).encode()
    stage.folder.create_bytes(name, content)
    # A later record either is based on this one, or is the reason why there was no other one of
    # this number any more. Nothing may be deleted then; the next compaction decides.
    if newest_generation(list_compacted(stage.folder), stage.settings_key) != generation:
        return "unknown"
    # The answer alone does not tell: it may get lost, and the next try finds the record there.
    return "counts" if stage.folder.read_bytes(name) == content else "lost"


def _discard(stage: Stage, begin: str) -> None:
    """Delete the large parts of a compaction that has no record."""
    names = list_compacted(stage.folder)
    stage.folder.remove(sorted(name for name in names if name.startswith(begin)))
