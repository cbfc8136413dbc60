"""The log of failures in preprocessing: a bad input costs one row here and does not end the job."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from exvad.store.parts import PartFolder

MAX_MESSAGE = 4000  # characters


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
        latest: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self._read(self._folder.part_names()):
            key = (row["id"], row["stage"])
            if key not in latest or row["time"] >= latest[key]["time"]:
                latest[key] = row
        excluded = frozenset(done)
        return [
            latest[key]
            for key in sorted(latest)
            if key[0] not in excluded and stage in (None, key[1])
        ]

    def clear(self, ids: Collection[str] | None = None, stage: str | None = None) -> None:
        """Delete failures, so that a run tries them again; safe while others append.

        Args:
            ids: failures of these ids only; None for all.
            stage: failures of this stage only; None for all.
        """
        cleared = None if ids is None else frozenset(ids)
        names = self._folder.part_names()
        rows = list(self._read(names))
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
        self._folder.remove(names)

    def _write(self, rows: list[dict[str, Any]]) -> None:
        self._folder.add_part(pa.Table.from_pylist(rows, schema=self.SCHEMA))

    def _read(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        for _, table in self._folder.read_parts(names, self.SCHEMA.names):
            yield from table.to_pylist()
