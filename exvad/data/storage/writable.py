"""Whether a result can be written, asked before the work and not after it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from exvad.data.storage.errors import reason_of

PROBE_BYTES = 4096


def check_new_file(path: str | Path, what: str = "") -> None:
    """Refuse a local file that can't be written; folders that it needs are made later.

    Args:
        path: the file. It may exist, and is replaced then.
        what: the option that names it, for the message.

    Raises:
        ValueError: the path is empty, a folder, a device or a pipe, or its folder can't be
            written to.
    """
    file, name = Path(path), f"{what} {path}".strip()
    try:
        if "\0" in str(path):
            raise ValueError("a name can't hold a zero byte")
        is_there, is_folder = file.exists(), file.is_dir()
        is_other = is_there and not file.is_file()
    except (OSError, ValueError) as error:  # such as a name that is too long
        raise ValueError(f"{name}: can't be written ({reason_of(error)})") from None
    if is_folder:
        raise ValueError(f"{name}: is a folder; name a file")
    if is_other:
        # A rename would put a file in the place of the device.
        raise ValueError(f"{name}: is no regular file, and can't be replaced by one; name a file")
    check_new_folder(file.absolute().parent, name)


def check_new_folder(path: str | Path, name: str = "") -> None:
    """Refuse a local folder that can't be written to, nor be made.

    Args:
        path: the folder.
        name: what can't be written then, for the message; empty for the folder itself.

    Raises:
        ValueError: something else has its name or that of a parent, or nothing can be written
            there.
    """
    folder, shown = Path(path).absolute(), name or str(path)
    try:
        existing = nearest_existing(folder)
        if not existing.is_dir():
            raise NotADirectoryError(0, f"{existing} is no folder")
        write_probe(existing)
    except (OSError, ValueError) as error:
        raise ValueError(f"{shown}: can't be written ({reason_of(error)})") from None


def nearest_existing(folder: Path) -> Path:
    """Return a folder, or the nearest of its parents that exists.

    Args:
        folder: an absolute path.

    Raises:
        OSError: the path can't be looked at, such as one with too long a name.
    """
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def write_probe(folder: Path) -> None:
    """Write a file without a name into a folder.

    Raises:
        OSError: the disk is full or read-only, the rights are missing, and so on.
    """
    with tempfile.TemporaryFile(dir=folder, prefix=".exvad-check-") as file:
        file.write(bytes(PROBE_BYTES))
        file.flush()
