"""The language stage: captioned videos to rows of the feature store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from exvad.aegm.captioned_videos import CaptionedVideo
from exvad.aegm.explanation_format import ExplanationError
from exvad.aegm.language_stage import LanguageSettings, LanguageStage, language_fingerprint
from exvad.aegm.prompts import Prompt
from exvad.aegm.text_feature import text_feature
from exvad.config import load_config
from exvad.store.store import Store
from tests.helpers.fakes import FakeEncoder, ScriptedLLM

CLASSES = ("Normal", "Arson")
SETTINGS = LanguageSettings(Prompt("mine", "{captions}\nrecord:"), CLASSES, 2, None, "scripted")
ARSON = json.dumps(
    {
        "anomalous": True,
        "category": "arson",
        "summary": "a car burns.",
        "reason": "a fire is lit on purpose.",
        "evidence": [2],
    }
)
NORMAL = json.dumps(
    {
        "anomalous": False,
        "category": "Normal",
        "summary": "a man walks.",
        "reason": "people go about their day.",
        "evidence": [1],
    }
)


def video(name: str, captions: list[str], contents: list[str]) -> CaptionedVideo:
    """Return a video whose frames show `contents`; its captions may say something else."""
    image_cD = FakeEncoder().encode_texts(contents)
    return CaptionedVideo(name, [4 * i for i in range(len(captions))], captions, image_cD)


VIDEOS = [
    video("a", ["a man walks", "a car burns", "a man walks"], ["a man walks"] * 3),
    video("b", ["a car burns", "a fire"], ["a car burns", "a fire"]),
]


def test_explain_returns_rows_that_the_store_accepts(tmp_path: Path) -> None:
    stage = LanguageStage(FakeEncoder(), ScriptedLLM([NORMAL, ARSON]), SETTINGS)
    rows = [row for row in stage.explain(VIDEOS) if not isinstance(row, ExplanationError)]
    store = Store(tmp_path / "store").stage("language", {"llm": "scripted"})
    store.append(rows)
    stored = {row["video_id"]: row for row in store.table().to_pylist()}
    assert set(stored) == {"a", "b"}
    assert stored["a"]["cleaned_captions"] == ["a man walks"] * 3
    assert stored["a"]["changed"] == 1
    assert stored["a"]["captions"] == ["a man walks", "a car burns", "a man walks"]
    assert stored["a"]["caption_snippets"] == [0, 4, 8]
    assert stored["b"]["explanation"] == "a car burns. a fire is lit on purpose."
    assert json.loads(stored["b"]["record"])["category"] == "Arson"
    assert stored["b"]["llm"] == "scripted"
    assert stored["b"]["prompt"] == SETTINGS.prompt.identity


def test_explain_encodes_explanation_and_captions() -> None:
    encoder = FakeEncoder()
    (row,) = LanguageStage(encoder, ScriptedLLM([NORMAL]), SETTINGS).explain(VIDEOS[:1])
    assert not isinstance(row, ExplanationError)
    np.testing.assert_array_equal(row["text"], text_feature(encoder, row["explanation"]))
    np.testing.assert_array_equal(
        row["caption_text"], encoder.encode_texts(row["cleaned_captions"])
    )


def test_explain_encodes_each_distinct_caption_of_a_video_once() -> None:
    encoder = FakeEncoder()
    LanguageStage(encoder, ScriptedLLM([NORMAL, ARSON]), SETTINGS).explain(VIDEOS)
    assert encoder.text_batches[:2] == [["a man walks", "a car burns"], ["a car burns", "a fire"]]


class BatchDependentEncoder(FakeEncoder):
    """An encoder whose features depend slightly on the batch size, as in matrix products."""

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return super().encode_texts(texts) * np.float32(1 + len(texts) / 64)


def test_explain_gives_a_row_that_does_not_depend_on_the_other_videos() -> None:
    alone = LanguageStage(BatchDependentEncoder(), ScriptedLLM([ARSON]), SETTINGS).explain(
        VIDEOS[1:]
    )
    both = LanguageStage(BatchDependentEncoder(), ScriptedLLM([NORMAL, ARSON]), SETTINGS).explain(
        VIDEOS
    )
    one, other = alone[0], both[1]
    assert not isinstance(one, ExplanationError)
    assert not isinstance(other, ExplanationError)
    for name in ("caption_text", "text"):
        np.testing.assert_array_equal(one[name], other[name])


def test_explain_prompts_with_the_cleaned_captions() -> None:
    llm = ScriptedLLM([NORMAL])
    LanguageStage(FakeEncoder(), llm, SETTINGS).explain(VIDEOS[:1])
    assert llm.prompts == [["1: a man walks\n2: a man walks\n3: a man walks\nrecord:"]]


def test_explain_cleans_within_the_window_of_the_settings() -> None:
    far = video("c", ["a fire", "a man", "a dog"], ["a dog", "a man", "a dog"])
    for window, in_window in [(None, True), (2, True), (1, False)]:
        settings = replace(SETTINGS, window=window)
        (row,) = LanguageStage(FakeEncoder(), ScriptedLLM([NORMAL]), settings).explain([far])
        assert isinstance(row, dict)
        assert (row["cleaned_captions"][0] == "a dog") == in_window


def test_explain_returns_the_error_of_one_video_and_the_rows_of_the_others() -> None:
    llm = ScriptedLLM(["rubbish", ARSON], ["rubbish"])
    first, second = LanguageStage(FakeEncoder(), llm, SETTINGS).explain(VIDEOS)
    assert isinstance(first, ExplanationError)
    assert isinstance(second, dict)
    assert second["video_id"] == "b"


def test_settings_are_read_from_the_configuration() -> None:
    config = load_config("demo", ["cleaning.window=3", "llm.attempts=5", "llm.model=my/llm"])
    settings = LanguageSettings.from_config(config, ["Normal", "Arson"])
    assert settings.prompt.name == "explanation_demo"
    assert settings.classes == CLASSES
    assert (settings.window, settings.attempts, settings.llm_name) == (3, 5, "my/llm")


@pytest.mark.parametrize(
    "override",
    [
        "clip.model=other",
        "clip.pretrained=other",
        "clip.dtype=float16",
        "llm.model=other",
        "llm.backend=vllm",
        "llm.dtype=bfloat16",
        "llm.prompt=explanation",
        "llm.max_new_tokens=7",
        "cleaning.window=2",
    ],
)
def test_language_fingerprint_changes_with_the_settings_of_the_rows_only(override: str) -> None:
    def fingerprint(*overrides: str) -> dict[str, Any]:
        return language_fingerprint(load_config("demo", overrides), CLASSES)

    assert fingerprint(override) != fingerprint()
    assert fingerprint("llm.batch_size=3", "train.epochs=2", "run=elsewhere") == fingerprint()
    json.dumps(fingerprint())


def test_language_fingerprint_changes_with_the_classes() -> None:
    config = load_config("demo")
    assert language_fingerprint(config, CLASSES) != language_fingerprint(config, ("Normal",))
