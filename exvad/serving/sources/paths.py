"""File names and paths that clients send."""

from __future__ import annotations

from pathlib import Path

MAX_NAME_LENGTH = 120


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
        ValueError: there is no allowed root, or no such file below it.
    """
    if root is None:
        raise ValueError("this server reads no paths: its setting allowed_root names no folder")
    root = root.resolve()
    try:
        path = (root / name).resolve()
        if path.is_relative_to(root) and path.is_file():
            return path
    except (OSError, RuntimeError):  # the name is too long, or links form a circle
        pass
    raise ValueError("there is no such file below the allowed root")
