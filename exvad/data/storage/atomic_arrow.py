"""Local files for libraries that write by pyarrow: a file is complete or absent.

pyarrow writes into the file itself. Of a process that is killed meanwhile, a part of it would stay,
in place of what was there before.
"""

from __future__ import annotations

import io
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsspec.implementations.local import LocalFileSystem

if TYPE_CHECKING:
    from pyarrow import fs as pa_fs


class AtomicLocalFileSystem(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The local file system, whose files appear under their names when they are closed."""

    def _open(
        self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any
    ) -> Any:
        target = Path(self._strip_protocol(path)).resolve()  # a link stays a link
        if mode == "wb" and (target.is_file() or not target.exists()):
            return _AtomicFile(target)
        return super()._open(path, mode, block_size, **options)


class _AtomicFile(io.FileIO):
    """A file that is renamed when it is closed, and deleted if nobody closes it or a write fails.

    Args:
        target: its name at last.
    """

    def __init__(self, target: Path) -> None:
        self._target, self._is_whole = target, True
        self._temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")  # a name may be long
        super().__init__(self._temporary, "wb")

    def write(self, data: Any) -> int:
        """Write all of the data."""
        size = memoryview(data).nbytes
        try:
            written = super().write(data)
        except OSError:
            self._is_whole = False
            raise
        while written < size:
            written += self.write(memoryview(data).cast("B")[written:])
        return written

    def close(self) -> None:
        """Close the file, and give it its name."""
        if self.closed:
            return
        try:
            super().close()
            if self._is_whole:
                self._temporary.replace(self._target)
        finally:
            self._temporary.unlink(missing_ok=True)

    def __del__(self) -> None:
        """Delete a file that nobody closed."""
        self._is_whole = False
        self.close()


def atomic_arrow() -> pa_fs.FileSystem:
    """Return the local file system for pyarrow, whose files are complete or absent."""
    from pyarrow import fs

    return fs.PyFileSystem(fs.FSSpecHandler(AtomicLocalFileSystem()))
