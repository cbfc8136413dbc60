"""Devices and number types of frozen models."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from exvad.encoders.devices import load_onto_device, resolve_device, resolve_dtype
from tests.helpers.ray_sessions import fake_cluster

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_resolve_device_uses_a_gpu_only_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == GPU
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == CPU
    with pytest.raises(ValueError, match="device 'cuda:1': no GPU can be used here"):
        resolve_device("cuda:1")


@pytest.mark.parametrize(
    ("mode", "gpu_ids", "expected"), [(0, [], GPU), (1, [], CPU), (1, ["3"], GPU)]
)
def test_resolve_device_uses_the_gpus_that_a_worker_of_ray_reserved(
    mode: int, gpu_ids: list[str], expected: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    worker = SimpleNamespace(mode=mode)
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(worker=worker))
    monkeypatch.setattr(ray, "get_gpu_ids", lambda: gpu_ids)
    assert (ray.SCRIPT_MODE, ray.WORKER_MODE) == (0, 1)
    assert resolve_device("auto") == expected
    monkeypatch.delitem(sys.modules, "ray")
    assert resolve_device("auto") == GPU, "a program without Ray"


class Actor:
    """An actor on a machine with GPUs, none of which exist."""

    def device(self) -> str:
        torch.cuda.is_available = lambda: True
        return str(resolve_device("auto"))


@pytest.fixture
def one_gpu() -> Iterator[None]:
    with fake_cluster(num_cpus=2, num_gpus=1):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("one_gpu")
def test_resolve_device_is_the_cpu_in_a_worker_of_ray_that_reserved_no_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    actors = [ray.remote(Actor).options(num_gpus=gpus).remote() for gpus in (0, 0.5)]
    assert ray.get([actor.device.remote() for actor in actors]) == ["cpu", "cuda"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == GPU, "the driver is no worker"


def test_resolve_dtype_is_that_of_the_checkpoint_or_half_precision_on_a_gpu() -> None:
    assert resolve_dtype("auto", GPU) == torch.float16
    assert resolve_dtype("auto", GPU, torch.float32) == torch.float16
    assert resolve_dtype("auto", GPU, torch.float16) == torch.float16
    assert resolve_dtype("auto", GPU, torch.bfloat16) == torch.bfloat16
    assert resolve_dtype("auto", CPU) == torch.float32
    assert resolve_dtype("auto", CPU, torch.bfloat16) == torch.float32
    assert resolve_dtype("float16", GPU, torch.bfloat16) == torch.float16
    assert resolve_dtype("bfloat16", CPU) == torch.bfloat16


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=str)
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, torch.dtype]:
    """A tiny Llama in a folder, and the type of its weights."""
    config = LlamaConfig(
        vocab_size=16,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    LlamaForCausalLM(config).to(request.param).save_pretrained(tmp_path)
    return str(tmp_path), request.param


def test_load_onto_device_loads_float32_on_a_cpu(checkpoint: tuple[str, torch.dtype]) -> None:
    network = load_onto_device(AutoModelForCausalLM, checkpoint[0], "auto", CPU)
    weight = network.get_input_embeddings().weight
    assert (weight.dtype, weight.device, weight.requires_grad) == (torch.float32, CPU, False)
    assert not network.training


def test_load_onto_device_reads_the_weights_directly_into_the_gpu(
    checkpoint: tuple[str, torch.dtype],
) -> None:
    path, stored = checkpoint
    loaded: dict[str, Any] = {}

    class RecordingClass:
        """Stands for the class of a model, because there is no GPU to load it onto."""

        @staticmethod
        def from_pretrained(path: str, **options: Any) -> Any:
            loaded.update(options)
            del options["device_map"]
            return AutoModelForCausalLM.from_pretrained(path, **options)

    network = load_onto_device(RecordingClass, path, "auto", GPU)
    expected = torch.bfloat16 if stored == torch.bfloat16 else torch.float16
    assert loaded == {"device_map": {"": GPU}, "dtype": expected}
    assert network.dtype == expected
