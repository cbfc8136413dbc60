"""Places: a path or URI, resolved to the file system that holds it. No other module parses URIs.

The packages of object stores and other file systems are imported on use: the decoding process of
`exvad.video.sandbox` imports this module, reads local files only, and has a limited address space.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from exvad.config.addresses import shown_address
from exvad.data.atomic import json_bytes, temporary_name
from exvad.data.storage.errors import StorageError, reason_of
from exvad.data.storage.filesystem import FileSystem
from exvad.data.storage.local import LocalFileSystem
from exvad.data.storage.remote.clients import URI_OPTIONS, variables_of
from exvad.data.storage.remote.objects import ObjectFileSystem
from exvad.data.storage.remote.others import OtherFileSystem

if TYPE_CHECKING:
    from pyarrow import fs as pa_fs

OBJECT_STORES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az"}
_MAX_FILE = 255  # bytes of a name on the usual file systems
_MAX_OBJECT = 1000  # bytes of the whole path of an object, a few less than S3 allows
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(/?)")
# Looser than the rules of S3, Google and Azure, which differ and which the service checks: tenants
# of Ceph have a colon, containers of Azure a dollar sign.
_BUCKET = re.compile(r"[A-Za-z0-9._:$-]+")
_SUPPORTED = "Use a local path, or a URI: file://, s3://, gs://, az://, or one of an fsspec package"


@dataclass(frozen=True)
class Place:
    """A file or folder in a file system; it can be pickled.

    Its methods raise what those of `FileSystem` raise.

    Args:
        filesystem: the file system.
        path: the path in it.
    """

    filesystem: FileSystem = field(repr=False)
    path: str

    def __str__(self) -> str:
        return self.filesystem.describe(self.path)

    def __truediv__(self, name: str) -> Place:
        return Place(self.filesystem, f"{self.path.rstrip('/')}/{name}".lstrip(self._left))

    @property
    def parent(self) -> Place:
        """The folder of the place."""
        folder = self.path.rstrip("/").rpartition("/")[0]
        return Place(self.filesystem, folder if self._left else folder or "/")

    @property
    def is_local(self) -> bool:
        """Whether the place is on a disk that only this machine may have."""
        return isinstance(self.filesystem, LocalFileSystem)

    @property
    def creates_atomically(self) -> bool:
        """Whether of several processes that create the same file one is told that it did."""
        return not isinstance(self.filesystem, OtherFileSystem)

    @property
    def max_name(self) -> int:
        """The number of bytes that the name of a file in this folder may have."""
        if isinstance(self.filesystem, ObjectFileSystem):
            return _MAX_OBJECT - len(self.path.encode())
        # Writers append something to the names of their temporary files.
        return _MAX_FILE - len(temporary_name(""))

    @property
    def variables(self) -> list[str]:
        """Names of the variables of this process that may give endpoint and credentials."""
        if isinstance(self.filesystem, ObjectFileSystem):
            return variables_of(self.filesystem.scheme, os.environ)
        return []

    @property
    def _left(self) -> str:
        return "/" if isinstance(self.filesystem, ObjectFileSystem) else ""

    def read_bytes(self) -> bytes:
        """Return the content of the file."""
        return self.filesystem.read_bytes(self.path)

    def read_text(self) -> str:
        """Return the content of the file, which is UTF-8."""
        return self.read_bytes().decode()

    def read_json(self) -> Any:
        """Return the content of the JSON file.

        Raises:
            ValueError: the file is no JSON; the message names it.
        """
        content = self.read_bytes()
        try:
            return json.loads(content)
        except ValueError as error:
            raise ValueError(f"{self} is damaged: {error}") from None

    def write_bytes(self, data: bytes | memoryview) -> None:
        """Write the file, or replace it, atomically."""
        self.filesystem.write_bytes(self.path, data)

    def write_text(self, text: str) -> None:
        """Write the file atomically, as UTF-8."""
        self.write_bytes(text.encode())

    def write_json(self, value: Any) -> None:
        """Write the file atomically, as indented JSON with sorted keys."""
        self.write_bytes(json_bytes(value))

    def create_bytes(self, data: bytes | memoryview) -> bool:
        """Write the file atomically unless it exists; return whether it was written."""
        return self.filesystem.create_bytes(self.path, data)

    def exists(self) -> bool:
        """Return whether there is such a file."""
        return self.filesystem.exists(self.path)

    def list_files(self, recursive: bool = False) -> list[str]:
        """Return the names of the files in the folder, sorted; of subfolders too if recursive."""
        return self.filesystem.list_files(self.path, recursive)

    def list_folders(self) -> list[str]:
        """Return the names of the folders in the folder, sorted."""
        return self.filesystem.list_folders(self.path)

    def delete(self) -> None:
        """Delete the file if it is there."""
        self.filesystem.delete([self.path])

    def delete_files(self, names: Sequence[str]) -> None:
        """Delete files of the folder; missing ones are ignored."""
        self.filesystem.delete([(self / name).path for name in names])

    def delete_folder(self) -> None:
        """Delete all files of the folder and of its subfolders."""
        if self.is_local:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.delete_files(self.list_files(recursive=True))

    def open_sequential(self) -> IO[bytes]:
        """Open the file to read it mostly in order."""
        return self.filesystem.open_sequential(self.path)

    def open_random(self) -> Any:
        """Open the file to read pieces of it; the result also suits pyarrow."""
        return self.filesystem.open_random(self.path)

    def to_arrow(self) -> tuple[pa_fs.FileSystem, str]:
        """Return the file system as one of pyarrow, and the path in it."""
        return self.filesystem.to_arrow(self.path)


def is_uri(location: str | Path) -> bool:
    """Return whether a location is a URI, and not a local path."""
    return "://" in str(location)


def resolve_place(location: str | Path) -> Place:
    """Return the place of a local path or a URI.

    Endpoints and credentials come from the usual variables of the environment, such as
    `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID` and `AWS_PROFILE`, `GOOGLE_APPLICATION_CREDENTIALS`,
    and `AZURE_STORAGE_ACCOUNT_NAME`. A URI of S3 may name them too:
    `s3://key:secret@bucket/path?endpoint_override=http://host:9000&region=eu-west-1`.

    Args:
        location: a local path, or a URI. Names in a bucket are taken as they are, without
            percent-decoding; those of `file://` are decoded.

    Raises:
        ValueError: the scheme is not supported, its package is not installed, or the URI names no
            bucket.
    """
    text = os.fspath(location)
    match = _SCHEME.match(text)
    if match is None:
        return Place(LocalFileSystem(), str(Path(text).absolute()))
    scheme, rest = match[1].lower(), text[match.end() :]
    if not match[2]:
        if scheme in OBJECT_STORES:
            uri = shown_address(f"{scheme}://{rest}")
            raise ValueError(f"{shown_address(text)!r} is no URI: write {uri}.")
        return Place(LocalFileSystem(), str(Path(text).absolute()))
    if scheme == "file":
        path = unquote(rest.removeprefix("localhost"))
        if not path.startswith("/"):
            raise ValueError(
                f"{shown_address(text)!r} names no absolute path: write file:///folder."
            )
        return Place(LocalFileSystem(), str(Path(path)))
    if scheme in OBJECT_STORES:
        return _resolve_object(text, OBJECT_STORES[scheme], rest)
    return _resolve_other(text, scheme)


def _resolve_object(text: str, scheme: str, rest: str) -> Place:
    if find_spec("obstore") is None:
        raise ValueError(f"{shown_address(text)!r} needs the package obstore: install it.")
    rest, options = _split_options(rest) if scheme == "s3" else (rest, {})
    bucket, _, path = rest.partition("/")
    if "@" in bucket:
        user, _, bucket = bucket.rpartition("@")
        key, _, secret = user.partition(":")
        options |= {"access_key_id": unquote(key), "secret_access_key": unquote(secret)}
    if not bucket:
        raise ValueError(f"{shown_address(text)!r} names no bucket: write {scheme}://bucket/path.")
    if ":" in bucket and "@" in path:
        raise ValueError(f"{shown_address(text)!r} names no bucket: in a key, write %2F for /.")
    if not _BUCKET.fullmatch(bucket):
        kind = "container" if scheme == "az" else "bucket"
        raise ValueError(
            f"{shown_address(text)!r}: {bucket.partition('?')[0]!r} is no name of a {kind}, which "
            "has letters, digits, '-', '_' and '.' only."
        )
    path = path.strip("/")
    if any(part in ("", ".", "..") for part in path.split("/")) and path:
        raise ValueError(
            f"{shown_address(text)!r}: a name in a bucket has no empty part, '.' or '..'."
        )
    return Place(ObjectFileSystem(scheme, bucket, tuple(sorted(options.items()))), path)


def _split_options(rest: str) -> tuple[str, dict[str, str]]:
    """Split the query from a URI of S3, unless its question mark is part of a name."""
    path, mark, query = rest.rpartition("?")
    pairs = dict(parse_qsl(query, keep_blank_values=True)) if mark else {}
    if not pairs or not pairs.keys() <= {*URI_OPTIONS, "scheme"}:
        return rest, {}
    protocol = pairs.pop("scheme", "https")
    options = {URI_OPTIONS[name]: value for name, value in pairs.items()}
    if "endpoint" in options and "://" not in options["endpoint"]:
        options["endpoint"] = f"{protocol}://{options['endpoint']}"
    return path, options


def _resolve_other(text: str, scheme: str) -> Place:
    from fsspec.core import url_to_fs

    try:
        filesystem, path = url_to_fs(text)
    except (ImportError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise ValueError(f"{shown_address(text)!r}: {reason}. {_SUPPORTED}.") from error
    except OSError as error:  # some packages look for the server at once
        raise StorageError(text, reason_of(error)) from error
    return Place(OtherFileSystem(scheme, filesystem), path)
