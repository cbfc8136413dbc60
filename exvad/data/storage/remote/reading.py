"""A file in a bucket as a readable file: it reads ranges, and the next ones ahead of time."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from exvad.data.storage.errors import StorageError

MIB = 1 << 20
GROWTH = 4


@dataclass(frozen=True)
class ReadAhead:
    """How much a reader requests at once.

    Args:
        first: bytes of the first request after a jump.
        largest: bytes of the largest one; while the reading goes on, they grow up to this.
        ranges: how many ranges are requested ahead of the one that is being read; 0 for none.
    """

    first: int
    largest: int
    ranges: int


# Two ranges of 8 MiB ahead hide a delay of 30 ms up to some 500 MiB/s.
SEQUENTIAL = ReadAhead(MIB, 8 * MIB, 2)
# The index of a Parquet file and its columns of keys fit into one request each.
RANDOM = ReadAhead(MIB // 8, MIB // 8, 0)


@dataclass(eq=False)
class _Range:
    """Bytes `start` to `end` of the file, there or on their way."""

    start: int
    end: int
    content: Future[memoryview]


class RangeReader(io.RawIOBase):
    """A readable, seekable file whose content comes in ranges.

    Args:
        size: bytes of the file.
        fetch: returns the bytes from its first argument up to, without, its second one.
        ahead: how much is requested at once.

    Attributes:
        error: the last error of storage. FFmpeg takes some errors of a file for its end, so
            whoever passes the reader to it has to check.
    """

    def __init__(self, size: int, fetch: Callable[[int, int], Any], ahead: ReadAhead) -> None:
        super().__init__()
        self.error: StorageError | None = None
        self._size, self._fetch, self._ahead = size, fetch, ahead
        self._position = 0
        self._ranges: list[_Range] = []  # without gaps; at most one lies before the position
        self._current: _Range | None = None
        self._left: _Range | None = None  # where the reading was before the last jump
        self._length = ahead.first
        self._pool = ThreadPoolExecutor(ahead.ranges) if ahead.ranges else None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def size(self) -> int:
        """Return the size of the file in bytes."""
        return self._size

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position; nothing is requested until the next read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, fewer only at the end of the file.

        Raises:
            StorageError: storage does not answer.
        """
        left = max(0, self._size - self._position)
        left = left if size is None or size < 0 else min(left, size)
        pieces = []
        while left:
            piece = self._piece(left)
            pieces.append(piece)
            left -= len(piece)
            self._position += len(piece)
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; return the number of bytes."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Drop what was read; requests that have not begun are not sent."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._ranges.clear()
        self._current = self._left = None
        super().close()

    def _piece(self, wanted: int) -> memoryview:
        """Return 1 to `wanted` bytes at the position."""
        index = self._find()
        if index is None:
            index = 0
            self._jump(wanted)
        del self._ranges[: max(0, index - 1)]
        current = self._current = self._ranges[min(index, 1)]
        self._request_ahead(current)
        try:
            content = current.content.result()
        except StorageError as error:
            self.error = error
            self._ranges.clear()
            self._current = self._left = None
            raise
        offset = self._position - current.start
        return content[offset : offset + wanted]

    def _jump(self, wanted: int) -> None:
        # Many files are read at the beginning, then at the end, then on from the beginning.
        back, self._left = self._left, self._current
        self._length = self._ahead.first
        self._ranges.clear()
        if back is not None and back.start <= self._position < back.end:
            self._ranges.append(back)
        else:
            self._request(self._position, wanted)

    def _find(self) -> int | None:
        """Return the index of the range with the position; one right after the last is added."""
        for index, known in enumerate(self._ranges):
            if known.start <= self._position < known.end:
                return index
        if self._ranges and self._ranges[-1].end == self._position and self._pool is not None:
            self._request(self._position)
            return len(self._ranges) - 1
        return None

    def _request_ahead(self, current: _Range) -> None:
        # After a jump, the first half of a range shows that the reading goes on.
        if len(self._ranges) == 1 and self._position < (current.start + current.end) // 2:
            return
        while self._ranges[-1].end < self._size:
            if len(self._ranges) - self._ranges.index(current) > self._ahead.ranges:
                return
            self._request(self._ranges[-1].end)

    def _request(self, start: int, wanted: int = 0) -> None:
        end = min(self._size, start + max(self._length, wanted))
        if self._pool is None:
            content: Future[memoryview] = Future()
            try:
                content.set_result(self._receive(start, end))
            except StorageError as error:
                content.set_exception(error)
        else:
            content = self._pool.submit(self._receive, start, end)
        self._ranges.append(_Range(start, end, content))
        self._length = min(GROWTH * self._length, self._ahead.largest)

    def _receive(self, start: int, end: int) -> memoryview:
        return memoryview(self._fetch(start, end)).cast("B")
