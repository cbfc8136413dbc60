"""Other file systems, by an installed fsspec package: `memory://`, `hdfs://`, `sftp://` and so on.

They have no conditional write: a file that must not exist is looked for, then written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, TypeVar

from exvad.config.addresses import shown_address
from exvad.data.atomic import temporary_name
from exvad.data.storage.errors import StorageError, reason_of
from exvad.data.storage.remote.retries import TransientError, call_with_retries

if TYPE_CHECKING:
    from pyarrow import fs as pa_fs

_T = TypeVar("_T")


@dataclass(frozen=True)
class OtherFileSystem:
    """A file system of fsspec, which keeps one instance per process; see `FileSystem`.

    Args:
        scheme: its scheme, such as memory.
        inner: the file system of fsspec.
    """

    scheme: str
    inner: Any = field(repr=False)

    def describe(self, path: str) -> str:
        """Return the URI of a path."""
        uri = path if "://" in path else f"{self.scheme}://{path.lstrip('/')}"
        return shown_address(uri)

    def read_bytes(self, path: str) -> bytes:
        """Return the content of a file."""
        return self._request(path, lambda: bytes(self.inner.cat_file(path)))

    def write_bytes(self, path: str, data: bytes | memoryview) -> None:
        """Write a file under a temporary name and move it."""
        self._request(path, lambda: self._write(path, bytes(data)))

    def create_bytes(self, path: str, data: bytes | memoryview) -> bool:
        """Write a file unless it exists."""
        if self.exists(path):
            return False
        self.write_bytes(path, data)
        return True

    def exists(self, path: str) -> bool:
        """Return whether there is a file or a folder."""
        return self._request(path, lambda: bool(self.inner.exists(path)))

    def list_files(self, path: str, recursive: bool = False) -> list[str]:
        """Return the names of the files in a folder, sorted."""
        depth = None if recursive else 1

        def find() -> list[str]:
            self.inner.invalidate_cache()
            found: list[str] = self.inner.find(path, maxdepth=depth)
            return found

        folder = f"{path.rstrip('/')}/"
        return sorted(name.removeprefix(folder) for name in self._request(path, find))

    def list_folders(self, path: str) -> list[str]:
        """Return the names of the folders in a folder, sorted."""

        def find() -> list[str]:
            self.inner.invalidate_cache()
            try:
                entries = self.inner.ls(path, detail=True)
            except FileNotFoundError:
                return []
            return [entry["name"] for entry in entries if entry["type"] == "directory"]

        return sorted(name.rstrip("/").rpartition("/")[2] for name in self._request(path, find))

    def delete(self, paths: Sequence[str]) -> None:
        """Delete files."""
        for path in paths:
            if self.exists(path):
                self._request(path, lambda path=path: self.inner.rm_file(path))  # type: ignore[misc]

    def open_sequential(self, path: str) -> IO[bytes]:
        """Open a file."""
        file: IO[bytes] = self._request(path, lambda: self.inner.open(path, "rb"))
        return file

    def open_random(self, path: str) -> Any:
        """Open a file."""
        return self.open_sequential(path)

    def to_arrow(self, path: str) -> tuple[pa_fs.FileSystem, str]:
        """Return the file system as one of pyarrow, and the path."""
        from pyarrow import fs

        return fs.PyFileSystem(fs.FSSpecHandler(self.inner)), path

    def _write(self, path: str, data: bytes) -> None:
        folder, _, name = path.rpartition("/")
        temporary = f"{folder}/{temporary_name(name)}"
        self.inner.makedirs(folder, exist_ok=True)
        try:
            self.inner.pipe_file(temporary, data)
            self.inner.mv(temporary, path)
        except BaseException:
            if self.inner.exists(temporary):
                self.inner.rm_file(temporary)
            raise

    def _request(self, path: str, call: Callable[[], _T]) -> _T:
        def attempt() -> _T:
            try:
                return call()
            except (FileNotFoundError, IsADirectoryError, PermissionError):
                raise
            except OSError as error:
                raise TransientError(reason_of(error)) from error

        try:
            return call_with_retries(attempt)
        except TransientError as error:
            raise StorageError(self.describe(path), error.reason) from error
        except PermissionError as error:
            raise StorageError(self.describe(path), "permission denied") from error
