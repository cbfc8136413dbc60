"""File names and paths that clients send."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MAX_NAME_LENGTH = 120
_MAX_LINKS = 40  # as Linux follows along one path


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
    """Whether a path that leads back to itself leaves a folder on the way.

    Its links are followed one by one, as a system does, until one comes twice.
    """
    parts, path, seen = [*Path(name).parts][::-1], root, set[tuple[Path, int]]()
    while parts:
        path = Path(os.path.normpath(path / parts.pop()))
        # On the way along an absolute link, what lies above the root is passed.
        if not (path.is_relative_to(root) or root.is_relative_to(path)):
            return True
        if os.path.islink(path):  # noqa: PTH114 - a name that is too long is no error here
            if (path, len(parts)) in seen or len(seen) > _MAX_LINKS:
                return False
            seen.add((path, len(parts)))
            parts += [*path.readlink().parts][::-1]
            path = path.parent
    return False
