"""Patterns of paths: `*`, `?`, `[…]`, and `**` for folders at any depth.

Python's `glob` follows links with `**`, also those to a folder above, as deep as names can get.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from glob import escape, glob, has_magic


def is_pattern(name: str) -> bool:
    """Return whether a name holds a mark of patterns."""
    return has_magic(name)


def matching_paths(pattern: str) -> list[str]:
    """Return what matches a pattern, sorted, in the form in which the pattern is written.

    `**` follows links, but comes to each folder only once. It leaves out names that begin with a
    dot.

    Args:
        pattern: the pattern.
    """
    found = [""]
    parts = pattern.split("/")
    while "**" in parts:
        place = parts.index("**")
        folders = _matches(found, [*parts[:place], ""] if place else [])
        parts = parts[place + 1 :]
        found = [below for folder in folders for below in _folders_from(folder)]
        if not parts:  # `a/**` stands for the folders and the files
            return _once([*found, *_matches(found, ["*"])])
    return _once(_matches(found, parts))


def _matches(folders: list[str], parts: list[str]) -> list[str]:
    """Return what matches the parts of a pattern without `**` in each of some folders."""
    if not parts:
        return folders
    tail = "/".join(parts)
    return [path for folder in folders for path in glob(escape(folder) + tail)]  # noqa: PTH207


def _folders_from(folder: str) -> Iterator[str]:
    """Yield a folder and all folders below it, each once, with a separator at their ends.

    Args:
        folder: the folder, with a separator at its end; empty for the working directory.
    """
    visited: set[str] = set()
    for path, subfolders, _ in os.walk(folder or os.curdir, followlinks=True):
        real_path = os.path.realpath(path)
        if real_path in visited:
            subfolders.clear()
            continue
        visited.add(real_path)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        shown = path if folder else path.removeprefix(os.curdir).removeprefix("/")
        yield shown if shown.endswith("/") or not shown else shown + "/"


def _once(paths: list[str]) -> list[str]:
    """Return the paths sorted, each once; the working directory itself is none."""
    return sorted({path for path in paths if path})
