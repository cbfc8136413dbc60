"""A folder of immutable Parquet part files, on a local disk, in a bucket or at an fsspec URI.

Many writers on many machines add parts concurrently without locks: names are unique, a part is
complete or invisible, and the names sort by the time of writing.
"""

from __future__ import annotations

import errno
import re
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from exvad.data.storage.errors import StorageError, is_network_failure, reason_of
from exvad.data.storage.marks import UNMARKED, Marks
from exvad.data.storage.places import Place, resolve_place

CONCURRENT_READS = 4  # hides the latency of object stores and bounds the memory
WHOLE = -1
PARQUET: dict[str, Any] = {
    "compression": "zstd",
    "use_dictionary": False,
    "write_page_checksum": True,
}
_SUFFIX = ".parquet"
_LABELLED = re.compile(r"\d{20}-[0-9a-f]{32}-([A-Za-z0-9_-]+)\.parquet")


class CorruptPartError(ValueError):
    """A file of the store is damaged or does not belong to it."""


class UnwritableError(ValueError):
    """A part of the store could not be written; the message says where, why, and what to do."""

    @classmethod
    def from_os_error(cls, error: OSError) -> UnwritableError:
        """Return the error of a disk that takes no more."""
        return cls(f"{error.filename}: {reason_of(error)}; make room and run again to continue")


class Piece(NamedTuple):
    """What is read at once: a part, or one row group of a large one.

    Args:
        name: the part.
        group: number of the row group; `WHOLE` for all of them.
    """

    name: str
    group: int = WHOLE


class PartFolder:
    """A folder at a path or URI with atomic writes and Parquet part files.

    Args:
        root: local path or URI; see `exvad.data.storage.places`.
        name: sub-folder of `root`; "" for the root itself.
        optional: list columns that a part may lack; its rows have empty lists then.
        marks: what a process of the job looks for before it uses the folder.

    Raises:
        ValueError: the URI is not supported.
    """

    def __init__(
        self,
        root: str | Path,
        name: str = "",
        optional: Sequence[pa.Field] = (),
        marks: Marks = UNMARKED,
    ) -> None:
        self._optional, self._marks = optional, marks
        try:
            place = resolve_place(root)
        except ValueError as error:
            raise ValueError(f"cannot open the store {error}") from error
        self._place = place / name if name else place

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    @property
    def place(self) -> Place:
        """The folder itself.

        Raises:
            UnsharedPlaceError: it is another one than that of the job.
        """
        self._marks.check()
        return self._place

    @property
    def path(self) -> str:
        """The path or URI of the folder, without secrets, for messages."""
        return str(self._place)

    def file_path(self, name: str) -> str:
        """Return the path or URI of a file in this folder, without secrets, for messages."""
        return str(self._place / name)

    def read_bytes(self, name: str) -> bytes | None:
        """Return the content of a file in this folder, or None if there is none.

        Raises:
            StorageError: storage does not answer.
        """
        try:
            return (self.place / name).read_bytes()
        except FileNotFoundError:
            return None

    def write_bytes(self, name: str, data: bytes | memoryview) -> None:
        """Write a file in this folder atomically.

        Raises:
            OSError: a local disk can't take it; has the errno of the cause (ENOSPC if the disk is
                full) and the path. No visible file is left.
            StorageError: storage does not answer.
        """
        with self._writing(name):
            (self.place / name).write_bytes(data)

    def create_bytes(self, name: str, data: bytes | memoryview) -> bool:
        """Write a file in this folder atomically, unless it exists; return whether it was written.

        Raises:
            OSError, StorageError: see `write_bytes`.
        """
        with self._writing(name):
            return (self.place / name).create_bytes(data)

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason, path = reason_of(error), self.file_path(name)
            raise OSError(error.errno or errno.EIO, f"cannot write: {reason}", path) from error

    def part_names(self) -> list[str]:
        """Return the names of the part files, sorted: the order in which they were written."""
        return [name for name in self.place.list_files() if _is_part(name)]

    def add_part(self, table: pa.Table, label: str = "") -> str:
        """Write a table as one new part file and return its name.

        Args:
            table: the rows.
            label: letters, digits, `-` and `_` that the name shall contain. A name that would be
                too long for the file system goes without.

        Raises:
            OSError, StorageError: see `write_bytes`.
        """
        content = memoryview(part_bytes(table))
        # Names sort by time, because the first of duplicate rows counts: a row that a later stage
        # has already read is not replaced when a retried task writes it again.
        name = new_part_name(label, self.place.max_name)
        try:
            self.write_bytes(name, content)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            name = new_part_name()
            self.write_bytes(name, content)
        return name

    def read_part(
        self, name: str, columns: Sequence[str] | None = None, group: int = WHOLE
    ) -> pa.Table:
        """Read a part.

        Args:
            name: its name.
            columns: which columns; None for all, none (`[]`) to check the footer only.
            group: which row group; `WHOLE` for all.

        Raises:
            FileNotFoundError: there is no such part, or it is gone while it is read.
            CorruptPartError: it is damaged; the message names it and says what to do.
            StorageError: storage does not answer.
        """
        with (self.place / name).open_random() as file:
            return self._read(name, file, columns, group)

    def parse_part(self, name: str, data: bytes) -> pa.Table:
        """Return the rows of a part whose content was read already.

        Args:
            name: its name, for messages.
            data: the content.

        Raises:
            CorruptPartError: it is damaged.
        """
        return self._read(name, pa.BufferReader(data), None, WHOLE)

    def _read(self, name: str, file: Any, columns: Sequence[str] | None, group: int) -> pa.Table:
        path = self.file_path(name)
        try:
            part = pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=True)
            if columns is not None and not columns:
                return part.schema_arrow.empty_table()
            known = part.schema_arrow.names
            absent = [
                field
                for field in self._optional
                if field.name not in known and (columns is None or field.name in columns)
            ]
            names = {field.name for field in absent}
            wanted = None if columns is None else [name for name in columns if name not in names]
            missing = [column for column in wanted or () if column not in known]
            if missing:
                raise self.foreign_part(name, missing[0])
            if group == WHOLE:
                return _with_empty_lists(part.read(columns=wanted), absent)
            return _with_empty_lists(part.read_row_group(group, columns=wanted), absent)
        except StorageError as error:
            if error.changed:
                raise FileNotFoundError(errno.ENOENT, error.reason, path) from error
            raise
        except (OSError, pa.ArrowException) as error:
            if isinstance(error, OSError) and is_network_failure(error):
                raise StorageError(path, reason_of(error)) from error
            raise CorruptPartError(
                f"{path} cannot be read ({_one_line(error)}). If it is damaged, delete it and "
                "run again, beginning with `exvad preprocess`: only what is missing is computed "
                "again."
            ) from error

    def foreign_part(self, name: str, column: str) -> CorruptPartError:
        """Return the error of a file that lacks a column of the stage."""
        return CorruptPartError(
            f"{self.file_path(name)} has no column {column!r}: it is not part of this store. "
            "Move it elsewhere."
        )

    def read_pieces(
        self, pieces: Sequence[Piece], columns: Sequence[str] | None = None
    ) -> Iterator[tuple[Piece, pa.Table]]:
        """Read several pieces, a few concurrently; yield each with its table, in their order.

        Raises:
            FileNotFoundError, CorruptPartError: see `read_part`.
        """
        if len(pieces) < 2:
            for piece in pieces:
                yield piece, self.read_part(piece.name, columns, piece.group)
            return
        with ThreadPoolExecutor(CONCURRENT_READS) as pool:
            pending: deque[tuple[Piece, Future[pa.Table]]] = deque()
            for piece in pieces:
                if len(pending) == CONCURRENT_READS:
                    yield _result(pending.popleft())
                future = pool.submit(self.read_part, piece.name, columns, piece.group)
                pending.append((piece, future))
            yield from map(_result, pending)

    def remove(self, names: Sequence[str]) -> None:
        """Delete files; files that do not exist are ignored."""
        self.place.delete_files(names)

    def remove_parts(self) -> None:
        """Delete all parts and the temporary files of interrupted writers; keep other files."""
        names = self.place.list_files()
        self.remove([name for name in names if _is_part(name) or _is_temporary(name)])


def new_part_name(label: str = "", limit: int = 0) -> str:
    """Return a name for a part that is written now.

    Args:
        label: letters, digits, `-` and `_` that the name has unless it would be too long.
        limit: the largest number of bytes of the name.
    """
    begin = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
    name = f"{begin}-{label}{_SUFFIX}"
    return name if label and len(name) <= limit else f"{begin}{_SUFFIX}"


def part_label(name: str) -> str:
    """Return the label in the name of a part; "" without one."""
    match = _LABELLED.fullmatch(name)
    return match[1] if match else ""


def part_bytes(table: pa.Table, group_rows: int | None = None) -> pa.Buffer:
    """Return the content of a part file.

    Args:
        table: the rows.
        group_rows: the largest number of rows of a row group; None for a single one.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=group_rows or max(1, len(table)), **PARQUET)
    return sink.getvalue()


def _result(item: tuple[Piece, Future[pa.Table]]) -> tuple[Piece, pa.Table]:
    piece, future = item
    return piece, future.result()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _is_part(name: str) -> bool:
    return name.endswith(_SUFFIX) and not name.startswith(".")


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


def _with_empty_lists(table: pa.Table, fields: Sequence[pa.Field]) -> pa.Table:
    """Return a table with further columns, whose rows are empty lists."""
    for field in fields:
        table = table.append_column(field, pa.array([[]] * len(table), field.type))
    return table
