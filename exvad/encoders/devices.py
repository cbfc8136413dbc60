"""Where frozen models run, where their files are, and what to say when either is missing."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PACKAGED = "package:"


def resolve_device(device: str) -> torch.device:
    """Return the device to run on.

    Args:
        device: `auto` (a GPU where there is one), or a torch device such as `cpu` or `cuda:1`.

    Raises:
        ValueError: a GPU is asked for and none can be used.
    """
    import torch

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device {device!r}: no GPU can be used here; set it to auto or cpu")
    return torch.device(device)


def resolve_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Return the number type of a frozen model: `auto` is float16 on a GPU and float32 on a CPU."""
    import torch

    if dtype == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    chosen: torch.dtype = getattr(torch, dtype)
    return chosen


def resolve_model(name: str) -> str:
    """Return a model's name or folder, `package:NAME` meaning weights that ship with exvad.

    Raises:
        ValueError: no such weights ship with exvad.
    """
    if not name.startswith(PACKAGED):
        return str(Path(name).expanduser()) if name.startswith("~") else name
    folder = resources.files("exvad") / "assets" / "weights" / name.removeprefix(PACKAGED)
    if not folder.is_dir():
        shipped = sorted(
            e.name
            for e in (resources.files("exvad") / "assets" / "weights").iterdir()
            if e.is_dir()
        )
        raise ValueError(f"no model {name!r} ships with exvad; there are: {', '.join(shipped)}")
    return str(folder)


class ModelUnavailableError(ValueError):
    """A foundation model can't be loaded: names it and says what to do."""

    def __init__(self, name: str, cause: Exception) -> None:
        super().__init__(
            f"can't load model {name!r} ({type(cause).__name__}: {str(cause).splitlines()[0]}). "
            "It needs the model in a folder on this machine, or network access to its hub; "
            "the demo preset brings small models that need neither."
        )
