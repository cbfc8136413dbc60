"""The answers of vLLM's engines become explanations in the store, or failures with their reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exvad.aegm.cleaning import CleanedCaptions
from exvad.aegm.language_stage import CleanedVideo
from exvad.config import load_config
from exvad.pipeline.stages import explanations
from exvad.pipeline.stages.vllm_engine import ERROR_COLUMN
from exvad.store.store import Store
from tests.helpers.explanations import CLASSES, explanation_json
from tests.helpers.fakes import FakeEncoder


def engine_row(video_id: str, text: str, num_tokens: int = 20, error: str = "") -> dict[str, Any]:
    """Return a row of an engine's output."""
    cleaned = CleanedCaptions(["a man"], np.ones((1, 8), np.float32), 0)
    return {
        **CleanedVideo(video_id, [0], ["a man"], cleaned).to_row(),
        "generated_text": text,
        "num_generated_tokens": num_tokens,
        ERROR_COLUMN: error,
    }


def test_store_explanations_names_why_an_answer_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explanations, "load_clip", lambda _: FakeEncoder(8))
    monkeypatch.setattr(explanations, "load_tokenizer", lambda _: None)
    monkeypatch.setattr(explanations, "prompt_thoughts", lambda _: "<think>")
    draft = explanation_json(category="Arson")
    rows = [
        engine_row("good", f"{draft}</think>{explanation_json()}"),
        engine_row("cut off", f"hm</think>{explanation_json()[:50]}", num_tokens=96),
        engine_row("thinking", f"{draft} or", num_tokens=96),
        engine_row("long", "", 0, error="the prompt is too long"),
    ]
    stage = Store(tmp_path).stage("language", {"any": 1})
    config = load_config("demo", ["llm.max_new_tokens=96"])
    store = explanations.StoreExplanations(config, CLASSES, stage)
    batch = {name: np.array([row[name] for row in rows], object) for name in rows[0]}
    outcomes = [json.loads(outcome) for outcome in store(batch)["outcome"]]
    assert outcomes == [
        ["good", "", ""],
        [
            "cut off",
            "ExplanationError",
            "the answer was cut off at 96 tokens: raise llm.max_new_tokens",
        ],
        [
            "thinking",
            "ExplanationError",
            "the model answered only with its reasoning and was cut off at 96 tokens: raise "
            "llm.max_new_tokens, or disable the model's thinking",
        ],
        ["long", "EngineError", "the prompt is too long"],
    ]
    (record,) = Store(tmp_path).read_stage("language").table()["record"].to_pylist()
    assert json.loads(record)["category"] == "Fighting"
