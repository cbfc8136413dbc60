"""Errors of the deployments that the workers use."""

from __future__ import annotations

# What the libraries of the models raise for an input that they can't take.
MODEL_ERRORS = (RuntimeError, ArithmeticError, LookupError, TypeError)
_BROKEN_DEVICE = ("CUDA error", "cuDNN error", "CUBLAS_STATUS")


class NoReplicaError(RuntimeError):
    """No replica of a deployment answers; the video is not the cause."""


def is_device_error(error: BaseException) -> bool:
    """Whether an error says that the process can't use its GPU any more, whatever the video."""
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _BROKEN_DEVICE)
