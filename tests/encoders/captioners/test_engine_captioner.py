"""The captioner by vLLM: what it hands to an engine, with an engine that records it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from exvad.config import CaptionerConfig
from exvad.encoders.answers import Answer
from exvad.encoders.captioners import engine_captioner
from exvad.encoders.captioners.captions import ClipsUnsupportedError
from exvad.encoders.captioners.engine_captioner import EngineCaptioner
from exvad.encoders.captioners.prompt_tokens import caption_prompt_tokens
from tests.helpers.vision_models import gemma3

FRAMES = np.arange(3 * 8 * 8 * 3, dtype=np.uint8).reshape(3, 8, 8, 3)


@pytest.fixture
def inputs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The inputs of an engine that answers `a fire` to all of them."""
    recorded: list[dict[str, Any]] = []

    def generate(_: Any, inputs: list[dict[str, Any]], parameters: Any) -> list[Answer]:
        recorded.extend(inputs)
        return [Answer(" a fire")] * len(inputs)

    monkeypatch.setattr(engine_captioner, "load_engine", lambda *_: SimpleNamespace())
    monkeypatch.setattr(engine_captioner, "generate", generate)
    return recorded


def test_chat_models_get_token_ids_with_one_begin_token_and_the_frames(
    tmp_path: Path, inputs: list[dict[str, Any]]
) -> None:
    gemma3(tmp_path)
    captioner = EngineCaptioner(CaptionerConfig(model=str(tmp_path), frames=2), "cpu")
    assert captioner.caption(FRAMES) == ["a fire"] * 3
    assert captioner.caption_clips([FRAMES[:2], FRAMES[2:]]) == ["a fire"] * 2
    assert [len(request["multi_modal_data"]["image"]) for request in inputs] == [1, 1, 1, 2, 1]
    for request in inputs:
        assert request["prompt_token_ids"].count(2) == 1, "<bos>"
        assert request["prompt_token_ids"][0] == 2
    assert np.array_equal(np.asarray(inputs[3]["multi_modal_data"]["image"][1]), FRAMES[1])


def test_chat_models_answer_another_prompt(tmp_path: Path, inputs: list[dict[str, Any]]) -> None:
    gemma3(tmp_path)
    captioner = EngineCaptioner(CaptionerConfig(model=str(tmp_path), frames=2), "cpu")
    assert captioner.answer([FRAMES[:2]], "Is it dark?") == [Answer(" a fire")]
    other = CaptionerConfig(model=str(tmp_path), frames=2, prompt="Is it dark?")
    assert inputs[0]["prompt_token_ids"] == caption_prompt_tokens(other).by_frames[1]


def test_image_to_text_models_get_the_begin_token_or_the_prompt(
    inputs: list[dict[str, Any]],
) -> None:
    for prompt in ("", "a person"):
        config = CaptionerConfig(model="package:captioner", prompt=prompt)
        EngineCaptioner(config, "cpu").caption(FRAMES[:1])
    empty, prompted = (request["prompt_token_ids"] for request in inputs)
    assert empty == [1]
    assert len(prompted) > 1
    assert prompted[-1] != 2, "</s>"
    with pytest.raises(ClipsUnsupportedError, match="choose a chat model"):
        caption_prompt_tokens(CaptionerConfig(model="package:captioner", frames=2))
