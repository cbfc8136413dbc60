"""Stages and their models beside GPUs and memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import LlamaConfig

from exvad.config import Config, load_config
from exvad.pipeline.preflight.needs import Stage
from exvad.pipeline.preflight.processors import Processors, check_stage, local_processors

GIB = 2**30
SMALL_GPU = Processors("on this machine", 1, int(22.05 * GIB))
LANGUAGE = Stage("stages.language", 1, ("llm",))


@pytest.fixture
def llama(tmp_path: Path) -> Config:
    """A run with the configuration of Llama 3.1 8B in a folder, without weights."""
    LlamaConfig(
        vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
        num_attention_heads=32, num_key_value_heads=8, max_position_embeddings=131072,
        dtype="bfloat16", architectures=["LlamaForCausalLM"],
    ).save_pretrained(tmp_path)  # fmt: skip
    return load_config("ucf_crime", [f"llm.model={tmp_path}"])


def test_gpu_that_does_not_exist_is_refused_with_the_memory_it_needs(llama: Config) -> None:
    finding = check_stage(llama, LANGUAGE, local_processors(counts_gpus=False))
    assert not finding.ok
    assert "asks for 1 GPU (weights 14.96 GiB" in finding.detail
    assert "set stages.language.gpus=0" in finding.detail
    assert check_stage(llama, LANGUAGE, Processors("in the cluster", 0, may_grow=True)).ok
    training = check_stage(llama, Stage("train.gpu", 1), Processors("here", 0))
    assert "set train.gpu=false" in training.detail


def test_weights_that_fit_are_told_with_the_memory_of_a_batch(llama: Config) -> None:
    finding = check_stage(llama, LANGUAGE, SMALL_GPU)
    assert finding.ok
    assert "22.05 GiB of GPU memory" in finding.detail


def test_weights_that_cannot_fit_are_refused(llama: Config) -> None:
    assert not check_stage(llama, LANGUAGE, Processors("here", 1, 14 * GIB)).ok
    half = Stage("stages.language", 0.5, ("llm",))
    assert not check_stage(llama, half, SMALL_GPU).ok
    on_cpu = Stage("stages.language", 0, ("llm",))
    assert (
        "the weights do not fit"
        in check_stage(llama, on_cpu, Processors("here", 0, None, 24 * GIB)).detail
    )


def test_engine_needs_the_cache_of_its_longest_sequence(llama: Config) -> None:
    engine = Stage("stages.language", 1, ("llm",), is_engine=True)
    long = load_config("ucf_crime", [f"llm.model={llama.llm.model}", "llm.engine.max_model_len=0"])
    finding = check_stage(long, engine, SMALL_GPU)
    assert not finding.ok
    assert "set llm.engine.max_model_len=4096" in finding.detail
    short = load_config(
        "ucf_crime", [f"llm.model={llama.llm.model}", "llm.engine.max_model_len=4096"]
    )
    assert check_stage(short, engine, SMALL_GPU).ok


def test_model_without_a_configuration_here_is_unknown() -> None:
    config = load_config("ucf_crime", ["llm.model=nobody/nothing"])
    finding = check_stage(config, LANGUAGE, SMALL_GPU)
    assert finding.ok
    assert "unknown: no configuration of nobody/nothing" in finding.detail


def test_cuda_needs_a_reserved_gpu() -> None:
    config = load_config("demo", ["device=cuda"])
    finding = check_stage(config, Stage("stages.vision", 0, ("clip",)), SMALL_GPU)
    assert not finding.ok
    assert "set stages.vision.gpus=1" in finding.detail
