"""The settings of vLLM's engine."""

from __future__ import annotations

import json
from types import SimpleNamespace

from exvad.config import EngineConfig
from exvad.encoders.engine import engine_options, plain_prompt_tokens, sampling_parameters


def test_engine_options_come_from_the_configuration_and_options_override_them() -> None:
    plain = engine_options(EngineConfig(), "auto", on_cpu=False)
    assert plain == {"dtype": "auto", "tensor_parallel_size": 1}
    engine = EngineConfig(tensor_parallel=2, max_model_len=512, options={"dtype": "half"})
    assert engine_options(engine, "auto", on_cpu=True) == {
        "dtype": "half",
        "tensor_parallel_size": 2,
        "max_model_len": 512,
        "enforce_eager": True,
    }


def test_sampling_parameters_are_greedy_and_contain_the_schema() -> None:
    assert sampling_parameters(40) == {"temperature": 0.0, "max_tokens": 40}
    schema = {"type": "object"}
    structured = sampling_parameters(40, schema)["structured_outputs"]
    assert json.loads(structured["json"]) == schema


def test_plain_prompt_tokens_of_an_empty_prompt_are_the_begin_token() -> None:
    class Tokenizer(SimpleNamespace):
        bos_token_id = 1

        def __call__(self, text: str) -> dict[str, list[int]]:
            return {"input_ids": [1, *map(ord, text), 2]}

    assert plain_prompt_tokens(Tokenizer(), "") == [1]
    assert plain_prompt_tokens(Tokenizer(), "a") == [1, ord("a"), 2]
