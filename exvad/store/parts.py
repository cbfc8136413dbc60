"""A folder of immutable Parquet part files, on a local disk, in a bucket or at an fsspec URI.

Many writers on many machines add parts concurrently without locks: names are unique, a part is
complete or invisible, and the names sort by the time of writing.
"""

from __future__ import annotations

import errno
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from exvad.data.storage.errors import StorageError, is_network_failure
from exvad.data.storage.places import resolve_place

CONCURRENT_READS = 4  # hides the latency of object stores and bounds the memory


class CorruptPartError(ValueError):
    """A file of the store is damaged or does not belong to it."""


class UnwritableError(ValueError):
    """A part of the store could not be written; the message says where, why, and what to do."""

    @classmethod
    def from_os_error(cls, error: OSError) -> UnwritableError:
        """Return the error of a disk that takes no more."""
        return cls(f"{error.filename}: {error.strerror}; make room and run again to continue")


class PartFolder:
    """A folder at a path or URI with atomic writes and Parquet part files.

    Args:
        root: local path or URI; see `exvad.data.storage.places`.
        name: sub-folder of `root`; "" for the root itself.

    Raises:
        ValueError: the URI is not supported.
    """

    def __init__(self, root: str | Path, name: str = "") -> None:
        try:
            place = resolve_place(root)
        except ValueError as error:
            raise ValueError(f"cannot open the store {error}") from error
        self.place = place / name if name else place

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    @property
    def path(self) -> str:
        """The path or URI of the folder, without secrets, for messages."""
        return str(self.place)

    def file_path(self, name: str) -> str:
        """Return the path or URI of a file in this folder, without secrets, for messages."""
        return str(self.place / name)

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
            reason, path = error.strerror or str(error), self.file_path(name)
            raise OSError(error.errno or errno.EIO, f"cannot write: {reason}", path) from error

    def part_names(self) -> list[str]:
        """Return the names of the part files, sorted: the order in which they were written."""
        return [name for name in self.place.list_files() if _is_part(name)]

    def add_part(self, table: pa.Table) -> str:
        """Write a table as one new part file and return its name.

        Raises:
            OSError, StorageError: see `write_bytes`.
        """
        # Names sort by time, because the first of duplicate rows counts: a row that a later stage
        # has already read is not replaced when a retried task writes it again.
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}.parquet"
        sink = pa.BufferOutputStream()
        pq.write_table(
            table,
            sink,
            compression="zstd",
            use_dictionary=False,
            write_page_checksum=True,
        )
        self.write_bytes(name, memoryview(sink.getvalue()))
        return name

    def read_part(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read a part.

        Args:
            name: its name.
            columns: which columns; None for all, none (`[]`) to check the footer only.

        Raises:
            FileNotFoundError: there is no such part.
            CorruptPartError: it is damaged; the message names it and says what to do.
            StorageError: storage does not answer.
        """
        path = self.file_path(name)
        with (self.place / name).open_random() as file:
            try:
                part = pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=True)
                if columns is None:
                    return part.read()
                if not columns:
                    return part.schema_arrow.empty_table()
                missing = [column for column in columns if column not in part.schema_arrow.names]
                if missing:
                    raise CorruptPartError(
                        f"{path} has no column {missing[0]!r}: it is not part of this store. "
                        "Move it elsewhere."
                    )
                return part.read(columns=list(columns))
            except (OSError, pa.ArrowException) as error:
                if isinstance(error, OSError) and is_network_failure(error):
                    raise StorageError(path, error.strerror or str(error)) from error
                raise CorruptPartError(
                    f"{path} cannot be read ({str(error).strip()}). If it is damaged, delete it "
                    "and run again: only what is missing is computed again."
                ) from error

    def read_parts(
        self, names: Sequence[str], columns: Sequence[str] | None = None
    ) -> Iterator[tuple[str, pa.Table]]:
        """Read several parts, a few concurrently; yield (name, table) in the order of `names`.

        Raises:
            FileNotFoundError, CorruptPartError: see `read_part`.
        """
        if len(names) < 2:
            yield from ((name, self.read_part(name, columns)) for name in names)
            return
        with ThreadPoolExecutor(CONCURRENT_READS) as pool:
            pending: deque[tuple[str, Future[pa.Table]]] = deque()
            for name in names:
                if len(pending) == CONCURRENT_READS:
                    yield _result(pending.popleft())
                pending.append((name, pool.submit(self.read_part, name, columns)))
            yield from map(_result, pending)

    def remove(self, names: Sequence[str]) -> None:
        """Delete files; files that do not exist are ignored."""
        self.place.delete_files(names)

    def remove_parts(self) -> None:
        """Delete all parts and the temporary files of interrupted writers; keep other files."""
        names = self.place.list_files()
        self.remove([name for name in names if _is_part(name) or _is_temporary(name)])


def _result(item: tuple[str, Future[pa.Table]]) -> tuple[str, pa.Table]:
    name, future = item
    return name, future.result()


def _is_part(name: str) -> bool:
    return name.endswith(".parquet") and not name.startswith(".")


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")
