"""Arrays from `.npy` and `.npz` files of users, which may be anything under these names."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from exvad.data.storage.errors import reason_of

Array = np.ndarray[Any, Any]

_BROKEN = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


def read_array(source: str | Path) -> Array:
    """Read the array of an `.npy` file; nothing is unpickled.

    Raises:
        ValueError: the file can't be read, or holds no single array; the message is the reason.
    """
    loaded = _load(source)
    if not isinstance(loaded, np.ndarray):
        raise ValueError("it is an .npz file, not an .npy file")
    return loaded


def read_arrays(source: str | Path | IO[bytes]) -> dict[str, Array]:
    """Read all arrays of an `.npz` file; nothing is unpickled.

    Returns:
        Name → array.

    Raises:
        ValueError: the file can't be read, or is no `.npz` file; the message is the reason.
    """
    loaded = _load(source)
    if isinstance(loaded, np.ndarray):
        raise ValueError("it is an .npy file, not an .npz file")
    return loaded


def _load(source: str | Path | IO[bytes]) -> Array | dict[str, Array]:
    """Read a file of either kind.

    Raises:
        ValueError: the file can't be read, or holds something else than arrays.
    """
    try:
        # NumPy leaves files open that it can't read.
        with Path(source).open("rb") if isinstance(source, str | Path) else source as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            arrays = {name: loaded[name] for name in loaded.files}
    except _BROKEN as error:
        reason = reason_of(error)
        # NumPy takes any other file for a pickle, and says how to run what may be in it.
        raise ValueError("it holds no array of numbers" if "pickle" in reason else reason) from None
    if others := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f"{others[0]} in it is no array")
    return arrays
