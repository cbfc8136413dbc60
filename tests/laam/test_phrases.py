"""LAAM: the k nearest phrases of a label, whatever wrote them, make a unit label embedding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exvad.aegm.prompts import Prompt, load_prompt
from exvad.config import load_config
from exvad.data.benchmarks import UCF_CRIME_CLASSES, XD_VIOLENCE_CLASSES
from exvad.laam.label_vectors import (
    LabelPrompt,
    LabelVectors,
    augmented_embedding,
    nearest_phrases,
)
from exvad.laam.phrases import LabelPhrases, parse_phrases, phrase_prompt, readable, write_phrases
from tests.helpers.fakes import FakeEncoder, ScriptedLLM

PROMPT = Prompt("mine", "{count} about {label}")
LABELS = LabelPhrases(
    phrases={
        "Normal": ["people walk", "a car drives", "a calm day"],
        "RoadAccidents": ["cars crash", "a car hits a person", "a wreck"],
    },
    origin="a test",
)


def unit(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    result: np.ndarray[Any, Any] = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return result


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 12))
def test_the_nearest_phrases_are_those_of_brute_force(seed: int, m: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    label_D, phrase_mD = rng.normal(size=6), rng.normal(size=(m, 6))
    k = min(k, m)
    cosines = [
        float(row @ label_D / np.linalg.norm(row) / np.linalg.norm(label_D)) for row in phrase_mD
    ]
    expected = sorted(range(m), key=lambda index: -cosines[index])[:k]
    assert nearest_phrases(label_D, phrase_mD, k).tolist() == expected


def test_phrases_that_are_equally_near_come_in_their_order() -> None:
    phrase_mD = np.array([[0, 1], [1, 0], [0, 1], [1, 0], [1, 0]])
    assert nearest_phrases(np.array([1, 0]), phrase_mD, 2).tolist() == [1, 3]
    assert nearest_phrases(np.array([1, 0]), phrase_mD, 4).tolist() == [1, 3, 4, 0]
    many_mD = np.tile(phrase_mD, (20, 1))
    nearest = [index for index in range(100) if many_mD[index, 0] == 1]
    assert nearest_phrases(np.array([1, 0]), many_mD, 60).tolist() == nearest


vectors = arrays(np.float32, 5, elements=st.floats(-3, 3, width=32)).filter(
    lambda row: float(np.linalg.norm(row)) > 0.1
)


@settings(deadline=None)
@given(vectors, st.lists(vectors, min_size=4, max_size=8), st.integers(0, 4))
def test_the_augmented_embedding_is_the_unit_mean_of_label_and_phrases(
    label_D: np.ndarray[Any, Any], phrases: list[np.ndarray[Any, Any]], k: int
) -> None:
    phrase_mD = np.stack(phrases)
    chosen = [label_D, *phrase_mD[nearest_phrases(label_D, phrase_mD, k)]]
    mean_D = np.mean([unit(row) for row in chosen], axis=0)
    if np.linalg.norm(mean_D) < 1e-3:  # opposite directions have no mean direction
        return
    result_D = augmented_embedding(label_D, phrase_mD, k)
    assert np.linalg.norm(result_D) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(result_D, unit(mean_D), atol=2e-3)


def test_with_no_phrase_kept_the_label_stands_alone() -> None:
    alone = LabelVectors.encode(LABELS, FakeEncoder()).embeddings("augmented", 0)
    np.testing.assert_allclose(
        alone, LabelVectors.encode(LABELS, FakeEncoder()).embeddings("name"), atol=1e-6
    )


@pytest.mark.parametrize("strategy", get_args(LabelPrompt))
def test_every_strategy_gives_unit_embeddings_of_every_class(strategy: LabelPrompt) -> None:
    embeddings_CD = LabelVectors.encode(LABELS, FakeEncoder(8)).embeddings(strategy, 2)
    assert embeddings_CD.shape == (2, 8)
    assert embeddings_CD.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings_CD, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("strategy", "texts"),
    [
        ("name", ["normal", "road accidents"]),
        ("template", ["a video of normal", "a video of road accidents"]),
        ("learnable", ["a video of normal", "a video of road accidents"]),
    ],
)
def test_a_strategy_embeds_its_own_text(strategy: LabelPrompt, texts: list[str]) -> None:
    expected_CD = unit(FakeEncoder().encode_texts(texts))
    embeddings_CD = LabelVectors.encode(LABELS, FakeEncoder()).embeddings(strategy)
    np.testing.assert_allclose(embeddings_CD, expected_CD, atol=1e-6)


def test_augmentation_takes_every_class_its_own_phrases() -> None:
    encoder = FakeEncoder()
    embeddings_CD = LabelVectors.encode(LABELS, encoder).embeddings("augmented", 2)
    for row_D, (label, phrases) in zip(embeddings_CD, LABELS.phrases.items(), strict=True):
        name_D = encoder.encode_texts([readable(label)])[0]
        expected_D = augmented_embedding(name_D, encoder.encode_texts(phrases), 2)
        np.testing.assert_allclose(row_D, expected_D, atol=1e-6)


def test_more_phrases_than_there_are_cannot_be_kept() -> None:
    uneven = LabelPhrases(phrases={"Normal": ["a", "b"], "Arson": ["c"]}, origin="a test")
    with pytest.raises(ValueError, match=r"k = 2, but Arson has fewer phrases: lower labels\.k"):
        LabelVectors.encode(uneven, FakeEncoder()).embeddings("augmented", 2)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("RoadAccidents", "road accidents"),
        ("Normal", "normal"),
        ("car_accident", "car accident"),
        ("Car-Accident", "car accident"),
        ("two  words", "two words"),
        ("UCF", "ucf"),
    ],
)
def test_a_class_name_becomes_running_text(label: str, text: str) -> None:
    assert readable(label) == text


THREE = ["two cars crash", "a car hits a man", "smoke rises"]


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps(THREE),
        f"Here you are:\n{json.dumps(THREE, indent=2)}\nGood luck!",
        f"```json\n{json.dumps(THREE)}\n```",
        json.dumps([" two cars crash", 7, "", "a car hits a man ", None, "smoke rises"]),
        "1. two cars crash\n2. a car hits a man\n3. smoke rises",
        "1) two cars crash\n\n 2) a car hits a man\n10: smoke rises\n",
        "- two cars crash\n* a car hits a man\n• smoke rises",
        '1. "two cars crash"\n2. "a car hits a man"\n3. "smoke rises"',
        "two cars crash\na car hits a man\nsmoke rises",
        "Here are 3 phrases:\n\n1. two cars crash\n2. a car hits a man\n3. smoke rises\n\nEnjoy!",
        '[\n  "two cars crash",\n  "a car hits a man",\n  "smoke rises"',
        '["two cars crash"\n"a car hits a man",\n"smoke rises"]',
    ],
)
def test_phrases_are_read_from_lists_of_many_kinds(answer: str) -> None:
    assert parse_phrases(answer) == THREE


@pytest.mark.parametrize("answer", ["", "\n \n", "[]", "[\n]", "[" * 9000])
def test_an_answer_without_phrases_has_none(answer: str) -> None:
    assert parse_phrases(answer) == []


@pytest.mark.parametrize("name", ["phrases", "phrases_demo"])
def test_the_packaged_prompts_ask_for_a_class_and_a_number(name: str) -> None:
    text = phrase_prompt(load_prompt(name), "RoadAccidents", 16)
    assert "road accidents" in text
    assert "16" in text


def test_phrases_lacking_are_asked_for_again_and_added() -> None:
    llm = ScriptedLLM(
        ['["a fire", "a fire"]', '["a punch", "a kick", "a brawl"]'], ['["a fire", "flames"]']
    )
    phrases = write_phrases(["Arson", "Fighting"], llm, PROMPT, 2)
    assert phrases == {"Arson": ["a fire", "flames"], "Fighting": ["a punch", "a kick"]}
    assert llm.asked == [["2 about arson", "2 about fighting"], ["2 about arson"]]


def test_a_model_that_writes_too_few_phrases_is_an_error_that_names_the_classes() -> None:
    llm = ScriptedLLM(["", '["a punch", "a kick"]'], ['["a fire"]'])
    with pytest.raises(ValueError, match=r"fewer than 2 phrases for Arson \(1\): lower labels"):
        write_phrases(["Arson", "Fighting"], llm, PROMPT, 2)


def test_a_label_file_reads_back_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text(LABELS.model_dump_json(), encoding="utf-8")
    assert LabelPhrases.read(path) == LABELS
    assert LabelPhrases.read(path).classes == ("Normal", "RoadAccidents")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b'{"phrases": {"Normal": "walks"}, "origin": "me"}',
        b'{"phrases": {"Normal": ["walks"]}}',
        b'{"phrases": {"Normal": ["walks"]}, "origin": ""}',
        b'{"phrases": {"Normal": ["walks"]}, "origin": "me", "k": 4}',
        b'{"phrases": {"Normal": ["\xff"]}, "origin": "me"}',
    ],
)
def test_what_is_no_label_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mine\.json is no label file: "):
        LabelPhrases.read(path)


def test_a_missing_label_file_says_which_job_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no label file .*labels\.json: run jobs/labels\.py"):
        LabelPhrases.read(tmp_path / "labels.json")


@pytest.mark.parametrize(
    ("preset", "classes"),
    [("ucf_crime", UCF_CRIME_CLASSES), ("xd_violence", XD_VIOLENCE_CLASSES)],
)
def test_phrases_for_the_benchmarks_come_with_the_package(
    preset: str, classes: tuple[str, ...]
) -> None:
    labels = LabelPhrases.read(load_config(preset).labels.file)
    assert labels.classes == classes
    assert "written for exvad" in labels.origin
    every = [phrase for phrases in labels.phrases.values() for phrase in phrases]
    assert len(every) == len(set(every)) >= 16 * len(classes)
    assert all(3 <= len(phrase.split()) <= 16 for phrase in every)


def test_a_packaged_label_file_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="package:nothing"):
        LabelPhrases.read("package:nothing")
