"""The log of failures in preprocessing: a bad input costs one row here and does not end the job."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from exvad.store.parts import PartFolder

MAX_MESSAGE = 4000  # characters
MIN_FILES = 64
CONCURRENT_READS = 16


class FailureLog:
    """One row per failed attempt: what failed, in which stage, and why.

    Args:
        root: path or URI of the store.
    """

    SCHEMA = pa.schema(
        [
            *(pa.field(n, pa.string(), nullable=False) for n in ("id", "stage", "error")),
            pa.field("message", pa.string(), nullable=False),
            pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        ]
    )

    def __init__(self, root: str | Path) -> None:
        self._folder = PartFolder(root, "failures")

    @property
    def path(self) -> str:
        """The folder of the log, for messages."""
        return self._folder.path

    def append(self, id: str, stage: str, error: str, message: str) -> None:
        """Record one failure.

        Args:
            id: what failed: a video, or a chunk of one.
            stage: in which stage.
            error: the type of the error.
            message: its message; the first 4000 characters are stored.

        Raises:
            OSError: the log cannot be written.
        """
        self.extend([(id, stage, error, message)])

    def extend(self, failures: Sequence[tuple[str, str, str, str]]) -> None:
        """Record several `(id, stage, error, message)` in one file; without failures, no file.

        Raises:
            OSError: the log cannot be written.
        """
        if failures:
            now = datetime.now(UTC)
            self._write(
                [
                    {"id": i, "stage": s, "error": e, "message": m[:MAX_MESSAGE], "time": now}
                    for i, s, e, m in failures
                ]
            )

    def rows(self, stage: str | None = None, done: Collection[str] = ()) -> list[dict[str, Any]]:
        """Return the latest failure of each `(id, stage)`, sorted.

        Args:
            stage: failures of this stage only; None for all.
            done: ids that succeeded later; their failures are excluded.
        """
        excluded = frozenset(done)
        rows = self.latest(self.read_files().values(), stage)
        return [row for row in rows if row["id"] not in excluded]

    @staticmethod
    def latest(
        files: Iterable[Iterable[dict[str, Any]]], stage: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the latest of some failures of each `(id, stage)`, sorted.

        Args:
            files: the failures in each file.
            stage: failures of this stage only; None for all.
        """
        latest: dict[tuple[str, str], dict[str, Any]] = {}
        for rows in files:
            for row in rows:
                key = (row["id"], row["stage"])
                if key not in latest or row["time"] >= latest[key]["time"]:
                    latest[key] = row
        return [latest[key] for key in sorted(latest) if stage in (None, key[1])]

    def read_files(
        self, known: Mapping[str, list[dict[str, Any]]] | None = None
    ) -> dict[str, list[dict[str, Any]]]:
        """Return the failures in each file of the log, in the order in which they were written.

        Args:
            known: what was read before; only other files are read.

        Raises:
            CorruptPartError: a file is damaged.
            StorageError: storage does not answer.
        """
        known = known or {}
        names = self._folder.part_names()
        new = [name for name in names if name not in known]
        with ThreadPoolExecutor(CONCURRENT_READS) as pool:
            read = dict(zip(new, pool.map(self._read_file, new), strict=True))
        found = {name: known.get(name) or read.get(name) for name in names}
        return {name: rows for name, rows in found.items() if rows is not None}

    def merge(self, known: Mapping[str, list[dict[str, Any]]]) -> None:
        """Merge the files of the log into one; safe while others append.

        Args:
            known: what was read before; only other files are read.

        Raises:
            OSError: the log cannot be written.
            CorruptPartError, StorageError: see `read_files`.
        """
        files = self.read_files(known)
        if len(files) > 1:
            # The merged file is there before the others are deleted: a failure may be listed twice
            # for a moment, and its latest row counts.
            self._write(self.latest(files.values()))
            self._folder.remove(list(files))

    def clear(self, ids: Collection[str] | None = None, stage: str | None = None) -> None:
        """Delete failures, so that a run tries them again; safe while others append.

        Args:
            ids: failures of these ids only; None for all.
            stage: failures of this stage only; None for all.
        """
        cleared = None if ids is None else frozenset(ids)
        files = self.read_files()
        rows = [row for file_rows in files.values() for row in file_rows]
        remaining = [
            row
            for row in rows
            if (cleared is not None and row["id"] not in cleared)
            or stage not in (None, row["stage"])
        ]
        if len(remaining) == len(rows):
            return
        if remaining:
            self._write(remaining)
        self._folder.remove(list(files))

    def _write(self, rows: list[dict[str, Any]]) -> None:
        self._folder.add_part(pa.Table.from_pylist(rows, schema=self.SCHEMA))

    def _read_file(self, name: str) -> list[dict[str, Any]] | None:
        """Return the failures in a file; None if it is gone."""
        data = self._folder.read_bytes(name)
        if data is None:
            return None
        rows: list[dict[str, Any]] = self._folder.parse_part(name, data).to_pylist()
        return rows
