"""The device and the number type that a frozen model runs with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def resolve_device(device: str) -> torch.device:
    """Return the torch device that a configured name stands for.

    Args:
        device: `auto` (a GPU if there is one, else the CPU) or a torch device such as `cpu` or
            `cuda:1`.

    Raises:
        ValueError: the name asks for a GPU and torch finds none.
    """
    import torch

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device {device!r}: no GPU can be used here; set it to auto or cpu")
    return torch.device(device)


def resolve_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Return the torch number type that a configured name stands for.

    Args:
        dtype: `auto` (float16 on a GPU, float32 on a CPU), `float32`, `float16` or `bfloat16`.
        device: where the model runs.
    """
    import torch

    if dtype == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    resolved: torch.dtype = getattr(torch, dtype)
    return resolved
