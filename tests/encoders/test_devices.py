"""Devices and number types of frozen models."""

from __future__ import annotations

import pytest
import torch

from exvad.encoders.devices import resolve_device, resolve_dtype


def test_resolve_device_uses_a_gpu_only_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="device 'cuda:1': no GPU can be used here"):
        resolve_device("cuda:1")


def test_resolve_dtype_is_half_precision_on_a_gpu_by_default() -> None:
    assert resolve_dtype("auto", torch.device("cuda")) == torch.float16
    assert resolve_dtype("auto", torch.device("cpu")) == torch.float32
    assert resolve_dtype("bfloat16", torch.device("cpu")) == torch.bfloat16
