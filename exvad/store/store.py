"""The feature store: what preprocessing has made so far, and what is left to do.

A store is a folder (local or any pyarrow or fsspec URI) with the stages `vision` (a row per chunk
of a video) and `language` (a row per video) and a log of failures; where the captioner is a stage
of its own, also `captions` (a row per captioned snippet). Any number of writers append at
once; the content is the same whatever files hold it.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from exvad.store.failures import FailureLog
from exvad.store.fingerprint import (
    STAGE_FILE,
    FingerprintError,
    claim,
    normalised,
    read_fingerprint,
)
from exvad.store.parts import CorruptPartError, Folder
from exvad.store.schema import FEATURES, KEYS, StageName, build_table, feature_rows, stage_schema

__all__ = ["CorruptPartError", "FailureLog", "FingerprintError", "Stage", "Store", "remaining"]

Key = TypeVar("Key", bound=Hashable)


def remaining(planned: Iterable[Key], *finished: Collection[Key]) -> list[Key]:
    """What of `planned` is in none of `finished`, in the planned order, each key once."""
    gone = set().union(*finished)
    return [key for key in dict.fromkeys(planned) if key not in gone]


class Store:
    """A feature store.

    Args:
        root: local path or URI; made by the first write.
    """

    def __init__(self, root: str | Path) -> None:
        # A relative path must mean the same in workers that run in another folder.
        self.root = str(root) if "://" in str(root) else str(Path(root).absolute())
        self.failures = FailureLog(self.root)

    def stage(self, name: StageName, fingerprint: Mapping[str, Any], fresh: bool = False) -> Stage:
        """Create a stage, or open it for more rows of the same making.

        Args:
            name: which stage.
            fingerprint: what determines the content (model names, prompts, stride, crops, …),
                anything JSON can hold.
            fresh: delete the stage's rows and failures first.

        Raises:
            FingerprintError: the stage was made with another fingerprint; each differing field is
                named.
            ValueError: `fingerprint` is nothing JSON can hold, `stage.json` is damaged, or there
                are rows without it.
        """
        wanted = normalised(name, fingerprint)
        folder = Folder(self.root, name)
        if fresh:
            # Rows first: an interruption leaves a stage that still says what made it.
            folder.remove_parts()
            self.failures.clear(stage=name)
        claim(folder, wanted, overwrite=fresh)
        return Stage(name, folder, wanted, writable=True)

    def read_stage(self, name: StageName) -> Stage:
        """Open an existing stage for reading.

        Raises:
            ValueError: there is none, or `stage.json` is damaged.
        """
        folder = Folder(self.root, name)
        fingerprint = read_fingerprint(folder)
        if fingerprint is None:
            raise ValueError(
                f"{self.root} has no {name} stage (no {folder.file(STAGE_FILE)}): "
                "preprocess the videos first."
            )
        return Stage(name, folder, fingerprint, writable=False)


class Stage:
    """One stage of a store; made by `Store.stage` and `Store.read_stage`, may be pickled.

    Where several rows have the same key (a task was retried after its write), the one of the
    earliest part counts and the others are as if absent.

    Attributes:
        name: which stage.
        fingerprint: what determines its content.
    """

    def __init__(
        self, name: StageName, folder: Folder, fingerprint: dict[str, Any], writable: bool
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self._folder = folder
        self._writable = writable
        self._width: int | None = None

    @property
    def width(self) -> int | None:
        """D, the width of the features, or None while the stage is empty."""
        if self._width is None:
            for name in self._folder.part_names()[:1]:
                self._width = self._part_width(name, self._folder.read_part(name, []))
        return self._width

    def append(self, rows: Sequence[Mapping[str, Any]] | pa.Table) -> None:
        """Add rows as one new part file, whole or not at all; no rows, no file.

        Args:
            rows: mappings, or a table, with exactly the columns of the stage (`schema.py`).

        Raises:
            ValueError: a row is wrong, which names it: see `build_table`.
            OSError: the file could not be written, such as on a full disk; nothing is left of it.
        """
        if not self._writable:
            raise ValueError(f"stage {self.name} was opened for reading: use Store.stage to add")
        if not len(rows):
            return
        table, self._width = build_table(self.name, rows, self.width)
        try:
            self._folder.add_part(table)
        except OSError as problem:
            raise OSError(
                problem.errno or errno.EIO,
                f"stage {self.name}: {problem.strerror or problem}",
                problem.filename,
            ) from problem

    def keys(self) -> set[tuple[Any, ...]]:
        """The keys of the rows, (video_id, chunk, crop) or (video_id,); reads nothing else."""
        return {key for _, rows in self._winners(None) for key in rows}

    def iter_tables(
        self, columns: Sequence[str] | None = None, video_ids: Collection[str] | None = None
    ) -> Iterator[pa.Table]:
        """Yield the rows part by part, each key once, so that memory holds a few parts at most.

        Args:
            columns: which columns, the keys always included; None for all.
            video_ids: rows of these videos only; None for all.

        Raises:
            CorruptPartError: a part file is damaged.
            ValueError: a part holds features of another width than the rest.
        """
        keys = list(KEYS[self.name])
        wanted = None if columns is None else [*keys, *(c for c in columns if c not in keys)]
        videos = None if video_ids is None else frozenset(video_ids)
        winners = dict(self._winners(videos))
        chosen = [name for name, rows in winners.items() if rows]
        for name, table in self._folder.read_parts(chosen, wanted):
            self._part_width(name, table)
            rows = list(winners[name].values())
            yield table if len(rows) == table.num_rows else table.take(pa.array(rows, pa.int64()))

    def table(
        self, columns: Sequence[str] | None = None, video_ids: Collection[str] | None = None
    ) -> pa.Table:
        """All rows sorted by key, each key once: the same whatever files hold them.

        Args:
            columns: which columns, in this order; None for all.
            video_ids: rows of these videos only; None for all.

        Raises:
            CorruptPartError, ValueError: see `iter_tables`.
        """
        tables = list(self.iter_tables(columns, video_ids))
        if not tables:
            empty = stage_schema(self.name, self.width or 1).empty_table()
            return empty if columns is None else empty.select(list(columns))
        table = pa.concat_tables(tables)
        table = table.sort_by([(key, "ascending") for key in KEYS[self.name]])
        return table if columns is None else table.select(list(columns))

    def digest(self) -> str:
        """SHA-256 (hex) of the content: equal exactly where every row is equal, bit for bit.

        Parts, their order and duplicates do not matter; neither does the fingerprint.
        """
        rows: dict[tuple[Any, ...], bytes] = {}
        for table in self.iter_tables():
            rows.update(_row_digests(self.name, table))
        total = hashlib.sha256(self.name.encode())
        for key in sorted(rows):
            total.update(rows[key])
        return total.hexdigest()

    def _winners(
        self, videos: Collection[str] | None
    ) -> list[tuple[str, dict[tuple[Any, ...], int]]]:
        """For each part, in order, the rows that count: key → row number."""
        seen: set[tuple[Any, ...]] = set()
        winners = []
        names = self._folder.part_names()
        for name, table in self._folder.read_parts(names, KEYS[self.name]):
            rows: dict[tuple[Any, ...], int] = {}
            columns = [table[column].to_pylist() for column in KEYS[self.name]]
            for number, key in enumerate(zip(*columns, strict=True)):
                if key not in seen and (videos is None or key[0] in videos):
                    seen.add(key)
                    rows[key] = number
            winners.append((name, rows))
        return winners

    def _part_width(self, name: str, table: pa.Table) -> int | None:
        """Check a part's feature columns against the schema and the other parts; return D."""
        for column in FEATURES[self.name]:
            if column not in table.column_names:
                continue
            kind = table.schema.field(column).type
            vector = kind.value_type if pa.types.is_list(kind) else kind
            width = vector.list_size if pa.types.is_fixed_size_list(vector) else None
            self._width = self._width or width
            if width is None or width != self._width or kind != _kind(self.name, column, width):
                raise ValueError(
                    f"{self._folder.file(name)}: {column} is {kind}, not float16 features "
                    f"{self._width or 'D'} wide like the rest of the stage. Another encoder made "
                    "it: delete the file and run again, or start afresh with --fresh."
                )
        return self._width


def _kind(stage: StageName, column: str, width: int) -> pa.DataType:
    return stage_schema(stage, width).field(column).type


def _row_digests(stage: StageName, table: pa.Table) -> Iterator[tuple[tuple[Any, ...], bytes]]:
    plain = table.drop_columns(list(FEATURES[stage])).to_pylist()
    features = [feature_rows(table, column) for column in FEATURES[stage]]
    for row, *matrices in zip(plain, *features, strict=True):
        digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode())
        for matrix in matrices:
            digest.update(repr(matrix.shape).encode())
            digest.update(np.ascontiguousarray(matrix).data)
        yield tuple(row[key] for key in KEYS[stage]), digest.digest()
