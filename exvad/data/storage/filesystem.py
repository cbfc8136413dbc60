"""What every kind of storage can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pyarrow import fs as pa_fs


class FileSystem(Protocol):
    """One kind of storage; paths are absolute in it.

    Implementations can be pickled and compared. Their methods raise `FileNotFoundError` for a
    missing file, `StorageError` where storage does not answer or refuses, and, on local disks
    only, any other `OSError` of the system.
    """

    def describe(self, path: str) -> str:
        """Return a path as users write it, without secrets."""
        ...

    def read_bytes(self, path: str) -> bytes:
        """Return the content of a file."""
        ...

    def write_bytes(self, path: str, data: bytes | memoryview) -> None:
        """Write a file, or replace it, atomically; missing folders are created."""
        ...

    def create_bytes(self, path: str, data: bytes | memoryview) -> bool:
        """Write a file atomically unless it exists.

        Returns:
            Whether it was written. Of several writers at the same time, one writes.
        """
        ...

    def exists(self, path: str) -> bool:
        """Return whether there is a file; object stores have no folders."""
        ...

    def list_files(self, path: str, recursive: bool = False) -> list[str]:
        """Return the names of the files in a folder, sorted; none if there is no such folder.

        Args:
            path: the folder.
            recursive: also list the files in its subfolders, as paths relative to the folder.
        """
        ...

    def list_folders(self, path: str) -> list[str]:
        """Return the names of the folders in a folder, sorted; none if there is no such folder."""
        ...

    def delete(self, paths: Sequence[str]) -> None:
        """Delete files; missing ones are ignored."""
        ...

    def open_sequential(self, path: str) -> IO[bytes]:
        """Open a file to read it mostly in order, with read-ahead where that saves time."""
        ...

    def open_random(self, path: str) -> Any:
        """Open a file to read pieces of it; the result also suits pyarrow."""
        ...

    def to_arrow(self, path: str) -> tuple[pa_fs.FileSystem, str]:
        """Return the file system as one of pyarrow, for libraries that need one, and the path."""
        ...
