"""A video that another process has opened: a file as PyAV reads it, or a folder of frames."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from itertools import accumulate


class OpenFile:
    """A readable file with a position of its own.

    Args:
        name: name of the file; FFmpeg looks at its extension.
        size: bytes of the file.
        read_at: returns up to so many bytes (its second argument) from an offset (its first one);
            fewer only at the end of the file.
        parts: name and bytes of each image, if the video is a folder of frames; then the content of
            the file is that of the images, one after the other.

    Attributes:
        error: the last error of reading. FFmpeg takes some errors for the end of the file, so
            whoever passes the file to it has to check.
    """

    def __init__(
        self,
        name: str,
        size: int,
        read_at: Callable[[int, int], bytes],
        parts: Sequence[tuple[str, int]] = (),
    ) -> None:
        self.name = name
        self.parts = parts
        self.error: OSError | None = None
        self._starts = [0, *accumulate(part_size for _, part_size in parts)]
        self._size, self._read_at, self._position = size, read_at, 0

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, fewer only at the end of the file.

        Raises:
            OSError: they can't be read.
        """
        left = max(0, self._size - self._position)
        size = left if size < 0 else min(left, size)
        if not size:
            return b""
        try:
            data = self._read_at(self._position, size)
        except OSError as error:
            self.error = error
            raise
        self._position += len(data)
        return data

    def read_part(self, index: int) -> bytes:
        """Return one of the images.

        Args:
            index: its index in `parts`.

        Raises:
            OSError: it can't be read.
        """
        self.seek(self._starts[index])
        return self.read(self.parts[index][1])
