"""Local files that are either whole or absent, whatever interrupts the writing.

Every write goes to a hidden temporary file beside the target, is flushed to the disk, and only then
takes the target's name; readers never see a part of it.
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
    """Open a binary file that appears under its name only once the block ends well.

    Args:
        path: where the file appears; missing parent folders are made.

    Yields:
        A writable binary file. If the block raises, nothing is left behind and whatever was at
        `path` before is still there.

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
        os.replace(temporary, target)  # noqa: PTH105 - the injected faults of the tests aim at it
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
        TypeError: `value` holds something JSON has no form for.
        ValueError: `value` holds NaN or an infinity.
        OSError: see `atomic_file`.
    """
    write_bytes_atomic(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """The bytes `write_json_atomic` writes: the same for equal values."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def temporary_name(name: str) -> str:
    """A hidden, unique name for a file that is on its way to being called `name`."""
    return f".{name}.{uuid.uuid4().hex}.tmp"


def _sync_folder(folder: Path) -> None:
    # Without it a power cut can undo the rename although the content is on the disk.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
