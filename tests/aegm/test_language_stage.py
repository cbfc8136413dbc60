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
from exvad.results import Explanation
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


LONG = video("long", [f"scene {number}" for number in range(5)], ["a man"] * 5)


def test_explain_asks_about_each_segment_of_a_long_video() -> None:
    encoder, llm = FakeEncoder(), ScriptedLLM([NORMAL, NORMAL, ARSON, ARSON])
    settings = replace(SETTINGS, segment_captions=2)
    cleaned = LanguageStage(encoder, ScriptedLLM([NORMAL]), SETTINGS).explain([LONG])[0]
    assert isinstance(cleaned, dict)
    captions = cleaned["cleaned_captions"]
    long, short = LanguageStage(encoder, llm, settings).explain([LONG, VIDEOS[1]])
    assert llm.prompts[0][:3] == [
        f"1: {captions[0]}\nrecord:",
        f"1: {captions[1]}\n2: {captions[2]}\nrecord:",
        f"1: {captions[3]}\n2: {captions[4]}\nrecord:",
    ]
    assert isinstance(long, dict)
    assert isinstance(short, dict)
    assert long["cleaned_captions"] == captions, "captions are cleaned as a whole"
    assert long["segment_ends"] == [1, 3, 5]
    evidence = [json.loads(record)["evidence"] for record in long["segment_records"]]
    assert evidence == [[1], [2], [5]]
    record = json.loads(long["record"])
    assert (record["anomalous"], record["category"], record["evidence"]) == (True, "Arson", [5])
    assert long["explanation"] == "a car burns. a fire is lit on purpose."
    np.testing.assert_array_equal(long["text"], text_feature(encoder, long["explanation"]))
    text_SD = long["segment_text"].reshape(3, -1)
    np.testing.assert_array_equal(text_SD[2], long["text"])
    np.testing.assert_array_equal(
        text_SD[0], text_feature(encoder, "a man walks. people go about their day.")
    )
    assert "segment_ends" not in short


def test_explain_asks_again_about_a_segment_and_names_the_one_without_an_answer() -> None:
    settings = replace(SETTINGS, segment_captions=3)
    llm = ScriptedLLM(["rubbish", ARSON], [NORMAL])
    (row,) = LanguageStage(FakeEncoder(), llm, settings).explain([LONG])
    assert isinstance(row, dict)
    assert json.loads(row["record"])["evidence"] == [4]
    llm = ScriptedLLM([NORMAL, "rubbish", ARSON], ["rubbish"])
    long, short = LanguageStage(FakeEncoder(), llm, settings).explain([LONG, VIDEOS[1]])
    assert isinstance(long, ExplanationError)
    assert str(long).startswith("segment 2 of 2 (captions 3 to 5): no JSON object")
    assert isinstance(short, dict)


def test_explain_gives_a_video_without_further_segments_the_row_of_earlier_code() -> None:
    def explained(limit: int) -> tuple[dict[str, Any], list[list[str]]]:
        llm, settings = ScriptedLLM([ARSON]), replace(SETTINGS, segment_captions=limit)
        (row,) = LanguageStage(FakeEncoder(), llm, settings).explain([LONG])
        assert isinstance(row, dict)
        return row, llm.prompts

    (whole, prompts), (within, same_prompts) = explained(0), explained(5)
    assert prompts == same_prompts
    assert sorted(whole) == sorted(
        [
            *("video_id", "captions", "caption_snippets", "cleaned_captions", "changed"),
            *("explanation", "record", "text", "caption_text", "llm", "prompt"),
        ]
    )
    expected = Explanation(**json.loads(ARSON) | {"category": "Arson"})
    assert whole["record"] == expected.model_dump_json()
    for name, value in whole.items():
        np.testing.assert_array_equal(value, within[name])


def test_settings_are_read_from_the_configuration() -> None:
    config = load_config("demo", ["cleaning.window=3", "llm.attempts=5", "llm.model=my/llm"])
    assert LanguageSettings.from_config(config, CLASSES).segment_captions == 0
    segmented = load_config("demo", ["llm.segment_captions=7"])
    assert LanguageSettings.from_config(segmented, CLASSES).segment_captions == 7
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
        "llm.segment_captions=16",
    ],
)
def test_language_fingerprint_changes_with_the_settings_of_the_rows_only(override: str) -> None:
    def fingerprint(*overrides: str) -> dict[str, Any]:
        return language_fingerprint(load_config("demo", overrides), CLASSES)

    assert fingerprint(override) != fingerprint()
    assert fingerprint("llm.batch_size=3", "train.epochs=2", "run=elsewhere") == fingerprint()
    assert "segment_captions" not in fingerprint(), "stores of earlier code have no such setting"
    json.dumps(fingerprint())


def test_language_fingerprint_changes_with_the_classes() -> None:
    config = load_config("demo")
    assert language_fingerprint(config, CLASSES) != language_fingerprint(config, ("Normal",))
