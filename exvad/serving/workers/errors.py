"""Errors of the deployments that the workers use."""

from __future__ import annotations

import re

# What the libraries of the models raise for an input that they can't take.
MODEL_ERRORS = (RuntimeError, ArithmeticError, LookupError, TypeError)
_BROKEN_DEVICE = ("CUDA error", "cuDNN error", "CUBLAS_STATUS")
# What the libraries of the device say of a request that they can't serve, in the same words.
_REFUSED_REQUEST = re.compile(
    r"NOT_SUPPORTED|ALLOC_FAILED|INVALID_VALUE|out of memory", re.IGNORECASE
)


class NoReplicaError(RuntimeError):
    """No replica of a deployment answers; the video is not the cause."""


def is_device_error(error: BaseException) -> bool:
    """Whether an error says that the process can't use its GPU any more, whatever the video."""
    text = str(error)
    is_about_device = isinstance(error, RuntimeError) and any(
        name in text for name in _BROKEN_DEVICE
    )
    return is_about_device and not _REFUSED_REQUEST.search(text)
