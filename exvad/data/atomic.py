"""Atomic writes of local files: a file is complete or absent, whatever interrupts the write.

Every write goes to a hidden temporary file beside the target. The file is flushed to the disk and
then renamed, so readers never see a part of it.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


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
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(temporary_name(target.name))
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)  # noqa: PTH105 - tests inject faults into os.replace
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


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


def _sync_folder(folder: Path) -> None:
    # Without it a power cut can undo the rename although the content is on the disk.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
