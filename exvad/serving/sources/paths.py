"""File names and paths that clients send."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MAX_NAME_LENGTH = 120


class NoFileError(ValueError):
    """There is no such file below the allowed root."""


def safe_name(name: str) -> str:
    """Return a displayable file name.

    Args:
        name: a file name or path of a client.

    Returns:
        The last part of the path, without control characters, at most `MAX_NAME_LENGTH` characters
        long and never empty.
    """
    last_part = name.replace("\\", "/").rsplit("/", 1)[-1]
    printable = "".join(letter for letter in last_part if letter.isprintable())
    return printable[-MAX_NAME_LENGTH:].strip() or "video"


def path_below(root: Path | None, name: str) -> Path:
    """Return the path of an existing file below the allowed root.

    Args:
        root: the allowed root; None if the server reads no paths.
        name: a path, relative to the root or absolute.

    Raises:
        NoFileError: there is no such file below the allowed root.
        ValueError: there is no allowed root, or what the path names below it is no file.
    """
    if root is None:
        raise ValueError("this server reads no paths: its setting allowed_root names no folder")
    root = root.resolve()
    try:
        path = (root / name).resolve()
        # Of what is not below the root, nothing may be said.
        mode = path.stat().st_mode if path.is_relative_to(root) else None
    except RuntimeError:
        mode = None if _leaves(root, name) else stat.S_IFLNK
    except OSError as error:  # there is none, or the name is too long
        is_circle = error.errno == errno.ELOOP and not _leaves(root, name)
        mode = stat.S_IFLNK if is_circle else None
    if mode is None:
        raise NoFileError("there is no such file below the allowed root")
    if stat.S_ISLNK(mode):
        raise ValueError("this path is no file: it is a link that leads back to itself")
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise ValueError(f"this path is no file: it is {kind}")
    return path


def _leaves(root: Path, name: str) -> bool:
    """Whether a path leads out of a folder, whatever its links do."""
    return not Path(os.path.normpath(root / name)).is_relative_to(root)
