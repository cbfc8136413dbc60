"""A replica whose GPU can't be used any more is reported, and no other one."""

from __future__ import annotations

import asyncio

import pytest

from exvad.serving.deployments.device_health import DeviceHealth
from exvad.serving.workers.errors import is_device_error


def fail(error: Exception) -> None:
    """Raise an error."""
    raise error


def test_compute_returns_the_result() -> None:
    health = DeviceHealth()
    assert asyncio.run(health.compute(max, 3, 5)) == 5
    health.check()


def test_check_names_the_error_after_which_the_gpu_cannot_be_used() -> None:
    health = DeviceHealth()
    error = RuntimeError("CUDA error: device-side assert triggered\nCompile with …")
    with pytest.raises(RuntimeError, match="device-side assert"):
        asyncio.run(health.compute(fail, error))
    with pytest.raises(RuntimeError, match=r"its GPU any more \(CUDA error: device-side .*d\)$"):
        health.check()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasGemmEx`"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_INVALID_VALUE when calling `cublasSgemm`"),
        RuntimeError("output with shape [1, 1] doesn't match the broadcast shape [1, 3]"),
        ValueError("CUDA error"),
    ],
)
def test_other_errors_are_about_the_request(error: Exception) -> None:
    health = DeviceHealth()
    with pytest.raises(type(error)):
        asyncio.run(health.compute(fail, error))
    health.check()
    assert not is_device_error(error)
