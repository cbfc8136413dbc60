"""Local disks, and network file systems that are mounted as such."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from exvad.data.atomic import create_file, write_bytes_atomic
from exvad.data.storage.atomic_arrow import atomic_arrow
from exvad.data.storage.errors import StorageError, is_network_failure

if TYPE_CHECKING:
    from pyarrow import fs as pa_fs


@dataclass(frozen=True)
class LocalFileSystem:
    """The local file system; see `FileSystem`."""

    def describe(self, path: str) -> str:
        """Return the path itself."""
        return path

    def read_bytes(self, path: str) -> bytes:
        """Return the content of a file."""
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise _sorted_error(path, error) from error

    def write_bytes(self, path: str, data: bytes | memoryview) -> None:
        """Write a file by a temporary file and a rename."""
        try:
            write_bytes_atomic(path, data)
        except OSError as error:
            raise _sorted_error(path, error) from error

    def create_bytes(self, path: str, data: bytes | memoryview) -> bool:
        """Write a file unless it exists."""
        try:
            return create_file(path, data)
        except OSError as error:
            raise _sorted_error(path, error) from error

    def exists(self, path: str) -> bool:
        """Return whether there is a file or a folder."""
        return Path(path).exists()

    def list_files(self, path: str, recursive: bool = False) -> list[str]:
        """Return the names of the files in a folder, sorted."""
        folder = Path(path)
        try:
            if recursive:
                files = (file for file in folder.rglob("*") if file.is_file())
                return sorted(file.relative_to(folder).as_posix() for file in files)
            with os.scandir(folder) as entries:
                return sorted(entry.name for entry in entries if entry.is_file())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _sorted_error(path, error) from error

    def list_folders(self, path: str) -> list[str]:
        """Return the names of the folders in a folder, sorted."""
        try:
            with os.scandir(path) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _sorted_error(path, error) from error

    def delete(self, paths: Sequence[str]) -> None:
        """Delete files."""
        for path in paths:
            Path(path).unlink(missing_ok=True)

    def open_sequential(self, path: str) -> IO[bytes]:
        """Open a file."""
        return Path(path).open("rb")

    def open_random(self, path: str) -> Any:
        """Open a file with pyarrow, which then reads without Python's lock."""
        import pyarrow as pa

        return pa.OSFile(path)

    def to_arrow(self, path: str) -> tuple[pa_fs.FileSystem, str]:
        """Return a local file system whose files are complete or absent, and the path."""
        return atomic_arrow(), path


def _sorted_error(path: str, error: OSError) -> OSError | StorageError:
    """Return a failure of the network as a `StorageError`, any other error as it is."""
    if is_network_failure(error):
        return StorageError(path, error.strerror or errno.errorcode[error.errno or errno.EIO])
    return error
