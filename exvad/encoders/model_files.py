"""Where the files of a frozen model are, and the error for a model that cannot be loaded."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

PACKAGE_PREFIX = "package:"


def resolve_model(name: str) -> str:
    """Return the hub name or the folder of a model.

    Args:
        name: a hub name, a folder (`~` is expanded), or `package:NAME` for weights that ship with
            exvad.

    Raises:
        ValueError: no weights of that name ship with exvad.
    """
    if not name.startswith(PACKAGE_PREFIX):
        return str(Path(name).expanduser()) if name.startswith("~") else name
    packaged_weights = resources.files("exvad") / "assets" / "weights"
    folder = packaged_weights / name.removeprefix(PACKAGE_PREFIX)
    if not folder.is_dir():
        shipped = sorted(entry.name for entry in packaged_weights.iterdir() if entry.is_dir())
        raise ValueError(f"no model {name!r} ships with exvad; there are: {', '.join(shipped)}")
    return str(folder)


class ModelUnavailableError(ValueError):
    """A foundation model cannot be loaded; the message names it and says what to do.

    Args:
        name: the configured name of the model.
        cause: the error of the library that tried to load it.
    """

    def __init__(self, name: str, cause: Exception) -> None:
        super().__init__(
            f"can't load model {name!r} ({type(cause).__name__}: {str(cause).splitlines()[0]}). "
            "Name a folder that contains the model, or allow network access to its hub; "
            "the small models of the demo preset need neither."
        )
