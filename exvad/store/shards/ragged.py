"""Float16 matrices of different lengths, in memory up to a limit and in a file beyond it.

N matrices · t rows of one · D width
"""

from __future__ import annotations

import errno
import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exvad.store.parts import UnwritableError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RaggedRows:
    """N matrices [t, D] that are written in pieces and read in any order.

    The first matrices stay in memory, the others in a file without a name, which is gone when the
    process ends, however it ends. The file is read and not mapped: mapped pages count as memory of
    the process.

    Args:
        lengths_N: t of each matrix.
        width: D.
        memory_bytes: how much may stay in memory.
        folder: folder of the file, on a local disk; None for the system's temporary folder.

    Attributes:
        file_bytes: size of the file.

    Raises:
        UnwritableError: the file cannot be created.
    """

    def __init__(
        self,
        lengths_N: Sequence[int] | NDArray[np.int64],
        width: int,
        memory_bytes: int,
        folder: str | Path | None = None,
    ) -> None:
        self.width = width
        self._ends_N = np.cumsum(np.asarray(lengths_N, np.int64))
        self._starts_N = self._ends_N - lengths_N
        self._row_bytes = 2 * width
        fitting = np.searchsorted(self._ends_N * self._row_bytes, memory_bytes, side="right")
        self._in_memory = int(fitting)
        rows_in_memory = int(self._ends_N[fitting - 1]) if fitting else 0
        self._memory = np.empty((rows_in_memory, width), np.float16)
        rows = int(self._ends_N[-1]) if len(self._ends_N) else 0
        self.file_bytes = (rows - rows_in_memory) * self._row_bytes
        self._folder = str(folder or tempfile.gettempdir())
        self._file: int | None = None
        if self.file_bytes:
            with self._unwritable_said():
                self._file, name = tempfile.mkstemp(prefix="exvad-", dir=self._folder)
                weakref.finalize(self, os.close, self._file)
                Path(name).unlink()
                os.truncate(self._file, self.file_bytes)

    def __len__(self) -> int:
        return len(self._ends_N)

    def write(self, index: int, first: int, rows_tD: NDArray[np.float16]) -> None:
        """Write rows of a matrix.

        Args:
            index: the matrix.
            first: the row of the matrix to begin at.
            rows_tD: the rows.

        Raises:
            ValueError: the matrix does not have these rows.
            UnwritableError: the disk is full.
        """
        start = int(self._starts_N[index]) + first
        if first < 0 or start + len(rows_tD) > self._ends_N[index]:
            raise ValueError(f"matrix {index} has no rows {first} to {first + len(rows_tD) - 1}")
        if index < self._in_memory:
            self._memory[start : start + len(rows_tD)] = rows_tD
            return
        assert self._file is not None
        piece = _bytes_of(np.ascontiguousarray(rows_tD, np.float16))
        offset = (start - len(self._memory)) * self._row_bytes
        with self._unwritable_said():
            while piece:
                written = os.pwrite(self._file, piece, offset)
                piece, offset = piece[written:], offset + written

    def read(self, index: int, count: int | None = None) -> NDArray[np.float16]:
        """Return a matrix [t, D]; a view of the memory where it is there.

        Args:
            index: the matrix.
            count: number of rows, from the first; None for all.
        """
        start, end = int(self._starts_N[index]), int(self._ends_N[index])
        end = end if count is None else start + count
        if index < self._in_memory:
            return self._memory[start:end]
        assert self._file is not None
        matrix_tD = np.empty((end - start, self.width), np.float16)
        piece = _bytes_of(matrix_tD)
        offset = (start - len(self._memory)) * self._row_bytes
        while piece:
            done = os.preadv(self._file, [piece], offset)
            if not done:
                raise OSError(errno.EIO, "the file of the features ends too early")
            piece, offset = piece[done:], offset + done
        return matrix_tD

    def write_wide(self, index: int, rows_TD: NDArray[np.float32]) -> None:
        """Write a float32 matrix, which takes two rows for each of its own, into a matrix."""
        self.write(index, 0, rows_TD.view(np.float16).reshape(-1, self.width))

    def read_wide(self, index: int, count: int) -> NDArray[np.float32]:
        """Return a float32 matrix of `count` rows that `write_wide` wrote."""
        halves = self.read(index, 2 * count).reshape(-1)
        return halves.view(np.float32).reshape(count, self.width)

    @contextmanager
    def _unwritable_said(self) -> Iterator[None]:
        """Name the folder in errors: the file has no name."""
        try:
            yield
        except OSError as error:
            named = OSError(error.errno, error.strerror, self._folder)
            raise UnwritableError.from_os_error(named) from error


def _bytes_of(matrix_tD: NDArray[np.float16]) -> memoryview:
    return matrix_tD.reshape(-1).view(np.uint8).data
