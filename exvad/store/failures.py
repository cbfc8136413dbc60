"""The log of what preprocessing could not do: a bad input costs its own row here, never the job."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from exvad.store.parts import Folder

LONGEST_MESSAGE = 4000  # characters of a failure's message that are kept


class FailureLog:
    """What could not be done and why: one row per attempt that failed.

    Args:
        root: the store's path or URI.
    """

    SCHEMA = pa.schema(
        [
            *(pa.field(n, pa.string(), nullable=False) for n in ("id", "stage", "error")),
            pa.field("message", pa.string(), nullable=False),
            pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        ]
    )

    def __init__(self, root: str | Path) -> None:
        self._folder = Folder(root, "failures")

    @property
    def path(self) -> str:
        """Where the list is, to be shown to users."""
        return self._folder.path

    def append(self, id: str, stage: str, error: str, message: str) -> None:
        """Record one failure.

        Args:
            id: what failed: a video, or a chunk of one.
            stage: in which stage.
            error: the type of the error.
            message: what it says; the first 4000 characters are kept.

        Raises:
            OSError: the log could not be written.
        """
        self.extend([(id, stage, error, message)])

    def extend(self, failures: Sequence[tuple[str, str, str, str]]) -> None:
        """Record several (id, stage, error, message) in one file; none, no file."""
        if failures:
            now = datetime.now(UTC)
            self._write(
                [
                    {"id": i, "stage": s, "error": e, "message": m[:LONGEST_MESSAGE], "time": now}
                    for i, s, e, m in failures
                ]
            )

    def rows(self, stage: str | None = None, done: Collection[str] = ()) -> list[dict[str, Any]]:
        """The latest failure of each (id, stage), sorted by them.

        Args:
            stage: only of this stage; None for all.
            done: ids that succeeded later: their failures are left out.
        """
        latest: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self._read(self._folder.part_names()):
            key = (row["id"], row["stage"])
            if key not in latest or row["time"] >= latest[key]["time"]:
                latest[key] = row
        gone = frozenset(done)
        return [
            latest[key] for key in sorted(latest) if key[0] not in gone and stage in (None, key[1])
        ]

    def clear(self, ids: Collection[str] | None = None, stage: str | None = None) -> None:
        """Forget failures, so that a run takes them up again; may run while others append.

        Args:
            ids: only of these; None for all.
            stage: only of this stage; None for all.
        """
        gone = None if ids is None else frozenset(ids)
        names = self._folder.part_names()
        rows = list(self._read(names))
        kept = [
            row
            for row in rows
            if (gone is not None and row["id"] not in gone) or stage not in (None, row["stage"])
        ]
        if len(kept) == len(rows):
            return
        if kept:
            self._write(kept)
        self._folder.remove(names)

    def _write(self, rows: list[dict[str, Any]]) -> None:
        self._folder.add_part(pa.Table.from_pylist(rows, schema=self.SCHEMA))

    def _read(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        for _, table in self._folder.read_parts(names, self.SCHEMA.names):
            yield from table.to_pylist()
