"""Atomic writes of local files: a file is complete or absent, whatever interrupts the write.

Every write goes to a hidden temporary file beside the target. The file is flushed to the disk and
then renamed, so readers never see a part of it.
"""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

# What systems without hard links answer: some network shares, FAT, some containers.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a binary file that appears under its name only if the block succeeds.

    Args:
        path: the target; missing parent folders are created.

    Yields:
        A writable binary file. If the block raises, the file is deleted and an existing target
        stays as it was.

    Raises:
        OSError: the disk is full, the folder is read-only, and so on.
    """
    target = Path(path)
    with _temporary_file(target) as (file, temporary):
        yield file
        _sync_file(file)
        os.replace(temporary, target)  # noqa: PTH105 - tests inject faults into os.replace
    _sync_folder(target.parent)


def create_file(path: str | Path, data: bytes | memoryview) -> bool:
    """Write a new file atomically; a file that is there stays as it is.

    Args:
        path: the target; missing parent folders are created.
        data: the content.

    Returns:
        Whether the file was written. Of several writers at the same time, one writes.

    Raises:
        OSError: the disk is full, the folder is read-only, and so on.
    """
    target = Path(path)
    with _temporary_file(target) as (file, temporary):
        file.write(data)
        _sync_file(file)
        try:
            # Unlike a rename, a link never replaces a file, and it shows whole files only.
            os.link(temporary, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if not _create_without_link(target, data):
                return False
        finally:
            temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)
    return True


def write_bytes_atomic(path: str | Path, data: bytes | memoryview) -> None:
    """Write `data` to `path` atomically; see `atomic_file`."""
    with atomic_file(path) as file:
        file.write(data)


def write_text_atomic(path: str | Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8; see `atomic_file`."""
    write_bytes_atomic(path, text.encode())


def write_json_atomic(path: str | Path, value: Any) -> None:
    """Write `value` to `path` atomically, as indented JSON with sorted keys.

    Raises:
        TypeError: `value` has no JSON form.
        ValueError: `value` contains NaN or an infinity.
        OSError: see `atomic_file`.
    """
    write_bytes_atomic(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Return the bytes that `write_json_atomic` writes: the same for equal values."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def temporary_name(name: str) -> str:
    """Return a hidden, unique name for the temporary file of `name`."""
    return f".{name}.{uuid.uuid4().hex}.tmp"


@contextmanager
def _temporary_file(target: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """Open a new file beside the target; it is deleted if the block fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(temporary_name(target.name))
    try:
        with temporary.open("xb") as file:
            yield file, temporary
    except BaseException as error:
        with suppress(OSError):  # a name that is too long can't be deleted either
            temporary.unlink(missing_ok=True)
        # An error without a number has its own words, which a name of a file would hide.
        names = (None, str(temporary))
        if isinstance(error, OSError) and error.errno is not None and error.filename in names:
            error.filename = str(target)  # the user's file, where the disk is full
        raise


def _create_without_link(target: Path, data: bytes | memoryview) -> bool:
    try:
        with target.open("xb") as file:
            file.write(data)
            _sync_file(file)
    except FileExistsError:
        return False
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return True


def _sync_file(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    # Without it a power cut can undo the rename although the content is on the disk.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
