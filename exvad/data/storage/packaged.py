"""Files that ship with exvad, named `package:NAME` where a path or URI is expected."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from exvad.data.storage.places import resolve_place

PACKAGE_PREFIX = "package:"


def read_packaged(location: str | Path, folder: str) -> bytes:
    """Return the content of a file, which may be one that ships with exvad.

    Args:
        location: a path, a URI, or `package:NAME`.
        folder: the folder in `exvad/assets/` with the JSON files that ship.

    Raises:
        FileNotFoundError: there is no such file.
    """
    name = str(location)
    if not name.startswith(PACKAGE_PREFIX):
        return resolve_place(location).read_bytes()
    packaged = resources.files("exvad") / "assets" / folder
    return (packaged / f"{name.removeprefix(PACKAGE_PREFIX)}.json").read_bytes()
