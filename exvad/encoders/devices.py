"""The device and the number type that a frozen model runs with."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def resolve_device(device: str) -> torch.device:
    """Return the torch device that a configured name stands for.

    Args:
        device: `auto` (a GPU if this process may use one, else the CPU) or a torch device such as
            `cpu` or `cuda:1`. A process that Ray started may use the GPUs that it reserved.

    Raises:
        ValueError: the name asks for a GPU and torch finds none.
    """
    import torch

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() and _may_use_gpus() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device {device!r}: no GPU can be used here; set it to auto or cpu")
    return torch.device(device)


def _may_use_gpus() -> bool:
    """Return whether this process is no worker of Ray, or one that reserved a GPU.

    Ray hides no GPU from a worker that reserved none, and the memory of that GPU may be promised
    to another actor.
    """
    # This room does not import Ray. A worker of Ray has always imported it.
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return True
    in_worker = ray.get_runtime_context().worker.mode == ray.WORKER_MODE
    return not in_worker or bool(ray.get_gpu_ids())


def device_memory(device: torch.device) -> int:
    """Return the memory of a device in bytes, whoever uses it: of the GPU, or of the machine."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def resolve_dtype(
    dtype: str, device: torch.device, checkpoint_dtype: torch.dtype | None = None
) -> torch.dtype:
    """Return the torch number type that a configured name stands for.

    Args:
        dtype: `auto`, `float32`, `float16` or `bfloat16`. `auto` is float32 on a CPU. On a GPU it
            is the type of the checkpoint, with float16 in place of float32.
        device: where the model runs.
        checkpoint_dtype: the type that the checkpoint was written in; None if it is unknown, which
            counts as float32.
    """
    import torch

    if dtype != "auto":
        resolved: torch.dtype = getattr(torch, dtype)
        return resolved
    if device.type != "cuda":
        return torch.float32
    # float16 holds no number above 65504; the activations of bfloat16 models exceed that.
    return torch.bfloat16 if checkpoint_dtype == torch.bfloat16 else torch.float16


def load_onto_device(model_class: Any, path: str, dtype: str, device: torch.device) -> Any:
    """Load a transformers model for inference.

    On a GPU the weights are read directly into its memory. Otherwise every process of a node would
    first hold a copy of them in the memory of the host.

    Args:
        model_class: its class, such as `AutoModelForCausalLM`.
        path: hub name or folder of the model.
        dtype: see `resolve_dtype`.
        device: where the model runs.

    Returns:
        The model in evaluation mode; its weights take no gradients.

    Raises:
        OSError: a file of the model cannot be found.
        ValueError: the model is of another kind.
    """
    from transformers import AutoConfig

    checkpoint_dtype = AutoConfig.from_pretrained(path).dtype if dtype == "auto" else None
    options: dict[str, Any] = {"dtype": resolve_dtype(dtype, device, checkpoint_dtype)}
    if device.type == "cuda":
        network = model_class.from_pretrained(path, device_map={"": device}, **options)
    else:
        network = model_class.from_pretrained(path, **options).to(device)
    return network.eval().requires_grad_(False)
