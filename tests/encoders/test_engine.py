"""The settings of vLLM's engine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import Blip2Config, LlamaConfig, OPTConfig

from exvad.config import EngineConfig
from exvad.encoders.engine import EngineError, engine_options, load_engine, sampling_parameters
from exvad.encoders.model_files import ModelUnavailableError


def test_engine_options_come_from_the_configuration_and_options_override_them() -> None:
    assert engine_options("package:llm", EngineConfig(), "auto", 1) == {
        "dtype": "auto",
        "tensor_parallel_size": 1,
        "max_model_len": 1024,
        "gpu_memory_utilization": 0.9,
    }
    engine = EngineConfig(tensor_parallel=2, max_model_len=512, options={"dtype": "half"})
    assert engine_options("package:llm", engine, "auto", None) == {
        "dtype": "half",
        "tensor_parallel_size": 2,
        "max_model_len": 512,
        "enforce_eager": True,
    }


def test_engine_options_bound_the_length_by_the_default_and_by_the_model(tmp_path: Path) -> None:
    def length(model: str, **settings: int) -> int | None:
        options = engine_options(model, EngineConfig(**settings), "auto", 1)
        return options.get("max_model_len")

    LlamaConfig(max_position_embeddings=131_072).save_pretrained(tmp_path / "llama")
    Blip2Config(text_config=OPTConfig(max_position_embeddings=2048).to_dict()).save_pretrained(
        tmp_path / "blip2"
    )
    assert length(str(tmp_path / "llama")) == 4096, "131,072 tokens need 16 GiB of cache"
    assert length(str(tmp_path / "llama"), max_model_len=9000) == 9000
    assert length(str(tmp_path / "llama"), max_model_len=0) is None
    assert length(str(tmp_path / "blip2")) == 2048, "vLLM refuses more than the model's own"
    with pytest.raises(ModelUnavailableError):
        length(str(tmp_path / "none"))


@pytest.mark.parametrize(("gpus", "share"), [(1, 0.9), (0.5, 0.45), (2, 0.9)])
def test_engine_options_take_the_memory_of_the_share_of_the_gpu(gpus: float, share: float) -> None:
    options = engine_options("package:llm", EngineConfig(), "auto", gpus)
    assert options["gpu_memory_utilization"] == share


def test_load_engine_describes_an_engine_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(model: str, **options: Any) -> None:
        raise RuntimeError("Engine core initialization failed. See root cause above.")

    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=start))
    with pytest.raises(EngineError, match=r"vLLM can't run model 'package:llm' \(Engine core init"):
        load_engine("package:llm", EngineConfig(), "auto", "cpu")


def test_sampling_parameters_are_greedy_and_contain_the_schema() -> None:
    assert sampling_parameters(40) == {"temperature": 0.0, "max_tokens": 40}
    schema = {"type": "object"}
    structured = sampling_parameters(40, schema)["structured_outputs"]
    assert json.loads(structured["json"]) == schema
