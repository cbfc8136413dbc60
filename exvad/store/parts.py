"""A folder of immutable parquet part files, on a local disk or at any pyarrow or fsspec URI.

Many writers on many machines add parts at once without locks: names are unique, a part is whole or
invisible, and names sort by the time of writing.
"""

from __future__ import annotations

import errno
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from exvad.data.atomic import temporary_name, write_bytes_atomic
from exvad.data.filesystems import resolve

READERS = 4  # parts read at once: hides the latency of object stores, bounds the memory


class CorruptPartError(ValueError):
    """A file of the store that cannot be read as what it should be."""


class UnwritableError(ValueError):
    """A part of the store could not be written: says where, why, and what to do."""


class Folder:
    """A folder at a path or URI: atomic writes, sorted listing, parquet parts.

    Args:
        root: local path or URI (`s3://bucket/dir`, `file:///dir`, any fsspec protocol).
        name: sub-folder of `root`; "" for the root itself.
    """

    def __init__(self, root: str | Path, name: str = "") -> None:
        try:
            self.fs, base = resolve(root)
        except ValueError as problem:
            raise ValueError(f"cannot open the store {problem}") from problem
        self.path = f"{base.rstrip('/')}/{name}".rstrip("/")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    def file(self, name: str) -> str:
        """The path of the file `name` in this folder, as messages show it."""
        return f"{self.path}/{name}"

    def read_bytes(self, name: str) -> bytes | None:
        """The content of a file of this folder, or None where there is none."""
        try:
            with self.fs.open_input_file(self.file(name)) as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def write_bytes(self, name: str, data: bytes | memoryview) -> None:
        """Write a file of this folder atomically.

        Raises:
            OSError: with the errno of the cause (ENOSPC when the disk is full) and the file named;
                no visible file is left.
        """
        target = self.file(name)
        try:
            if isinstance(self.fs, pafs.LocalFileSystem):
                write_bytes_atomic(target, data)
            else:
                self._write_remote(target, name, data)
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise OSError(
                problem.errno or errno.EIO, f"cannot write: {reason}", target
            ) from problem

    def _write_remote(self, target: str, name: str, data: bytes | memoryview) -> None:
        self.fs.create_dir(self.path, recursive=True)
        temporary = self.file(temporary_name(name))
        try:
            with self.fs.open_output_stream(temporary) as stream:
                stream.write(data)
            self.fs.move(temporary, target)
        except BaseException:
            if self.fs.get_file_info(temporary).type != pafs.FileType.NotFound:
                self.fs.delete_file(temporary)
            raise

    def part_names(self) -> list[str]:
        """The names of the part files, sorted: the order in which they were written."""
        return sorted(name for name in self._names() if _is_part(name))

    def add_part(self, table: pa.Table) -> str:
        """Write `table` as one new part file and return its name.

        Raises:
            OSError: see `write_bytes`.
        """
        # The first part wins where a retried task wrote its rows twice, so names sort by time:
        # what a later stage has already read stays what the store says.
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
        """Read the part `name`, or only some of its columns (`[]`: none, which checks the footer).

        Raises:
            FileNotFoundError: there is no such part (any more).
            CorruptPartError: it is damaged; the message names it and says what to do.
        """
        with self.fs.open_input_file(self.file(name)) as file:
            try:
                part = pq.ParquetFile(file, page_checksum_verification=True)
                if columns is None:
                    return part.read()
                if not columns:
                    return part.schema_arrow.empty_table()
                missing = [column for column in columns if column not in part.schema_arrow.names]
                if missing:
                    raise CorruptPartError(
                        f"{self.file(name)} has no column {missing[0]!r}: it is no part of this "
                        "store. Move it elsewhere."
                    )
                return part.read(columns=list(columns))
            except (OSError, pa.ArrowException) as problem:
                raise CorruptPartError(
                    f"{self.file(name)} cannot be read ({str(problem).strip()}). "
                    "If it is damaged, delete it and run again: only what is missing is done anew."
                ) from problem

    def read_parts(
        self, names: Sequence[str], columns: Sequence[str] | None = None
    ) -> Iterator[tuple[str, pa.Table]]:
        """Read several parts, a few at once, and yield (name, table) in the order of `names`."""
        if len(names) < 2:
            yield from ((name, self.read_part(name, columns)) for name in names)
            return
        with ThreadPoolExecutor(READERS) as pool:
            ahead: deque[tuple[str, Future[pa.Table]]] = deque()
            for name in names:
                if len(ahead) == READERS:
                    yield _result(ahead.popleft())
                ahead.append((name, pool.submit(self.read_part, name, columns)))
            yield from map(_result, ahead)

    def remove(self, names: Sequence[str]) -> None:
        """Delete these files; one that is gone already is fine."""
        for name in names:
            try:
                self.fs.delete_file(self.file(name))
            except FileNotFoundError:
                continue

    def remove_parts(self) -> None:
        """Delete every part, and what interrupted writers left; foreign files stay."""
        self.remove([n for n in self._names() if _is_part(n) or _is_leftover(n)])

    def _names(self) -> list[str]:
        selector = pafs.FileSelector(self.path, allow_not_found=True)
        infos: list[Any] = self.fs.get_file_info(selector)
        return [info.base_name for info in infos if info.type == pafs.FileType.File]


def _result(pair: tuple[str, Future[pa.Table]]) -> tuple[str, pa.Table]:
    return pair[0], pair[1].result()


def _is_part(name: str) -> bool:
    return name.endswith(".parquet") and not name.startswith(".")


def _is_leftover(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")
