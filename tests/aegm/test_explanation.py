"""AEGM: cleaning is equation 2 to the letter, and only a usable answer becomes an explanation."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exvad.aegm.cleaning import captioned_snippets, clean_captions
from exvad.aegm.explanation import (
    ExplanationError,
    explain,
    explanation_prompt,
    parse_explanation,
    words_so_far,
)
from exvad.aegm.prompts import Prompt, load_prompt
from exvad.aegm.text_feature import text_feature
from exvad.results import Explanation
from tests.helpers.fakes import FakeEncoder, ScriptedLLM

CLASSES = ("Normal", "Arson", "Fighting")
PROMPT = Prompt("mine", "{captions}\none of {classes} ({normal})")


def answer(**changed: Any) -> str:
    """A usable answer, with fields changed; None leaves a field out."""
    record = {
        "anomalous": True,
        "category": "Fighting",
        "summary": "two people fight.",
        "reason": "they hit each other.",
        "evidence": [1],
    }
    return json.dumps(
        {key: value for key, value in (record | changed).items() if value is not None}
    )


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(1, 64))
def test_captioned_snippets_are_unique_ascending_and_inside_the_video(total: int, n: int) -> None:
    chosen = captioned_snippets(total, n)
    assert len(chosen) == min(total, n)
    assert chosen == sorted(set(chosen))
    assert chosen[0] >= 0
    assert chosen[-1] < total


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(1, 64))
def test_captioned_snippets_are_spread_evenly(total: int, n: int) -> None:
    chosen = captioned_snippets(total, n)
    gaps = np.diff(chosen)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1
    # What is left before the first and after the last is half a gap.
    assert abs(chosen[0] - (total - 1 - chosen[-1])) <= 1


@st.composite
def features(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Image and text features of 1 to 8 frames; small integers make many exact ties."""
    count = draw(st.integers(1, 8))
    rows = arrays(np.float32, (count, 3), elements=st.integers(-2, 2).map(float))
    image, text = draw(rows), draw(rows)
    image[~image.any(1)] = 1
    text[~text.any(1)] = 1
    return image, text


@settings(deadline=None)
@given(features(), st.none() | st.integers(1, 8))
def test_cleaning_is_a_literal_loop_of_equation_2(
    pair: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]], window: int | None
) -> None:
    image_cD, text_cD = pair
    count = len(image_cD)
    captions = [f"caption {number}" for number in range(count)]
    cleaned = clean_captions(captions, image_cD, text_cD, window)
    for i in range(count):
        cosines = {
            j: float(
                image_cD[i] @ text_cD[j] / np.linalg.norm(image_cD[i]) / np.linalg.norm(text_cD[j])
            )
            for j in range(count)
            if window is None or abs(i - j) <= window
        }
        chosen = captions.index(cleaned.captions[i])
        if cosines[i] >= max(cosines.values()) - 5e-7:
            assert chosen == i
        else:
            assert cosines[chosen] == pytest.approx(max(cosines.values()), abs=1e-6)
        np.testing.assert_array_equal(cleaned.features_cD[i], text_cD[chosen])
    assert cleaned.changed == sum(a != b for a, b in zip(cleaned.captions, captions, strict=True))


def test_a_caption_as_close_as_any_is_kept() -> None:
    same_cD = np.ones((3, 4), np.float32)
    cleaned = clean_captions(["a", "b", "c"], same_cD, same_cD)
    assert cleaned.captions == ["a", "b", "c"]
    assert cleaned.changed == 0


def test_the_length_of_a_feature_does_not_matter_to_cleaning() -> None:
    image_cD = np.eye(2, dtype=np.float32)
    text_cD = np.array([[1, 0], [90, 100]], np.float32)
    assert clean_captions(["a", "b"], image_cD, text_cD).captions == ["a", "b"]


def test_a_window_keeps_far_captions_away() -> None:
    image_cD = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    text_cD = np.array([[0, 1], [1, 1], [1, 0]], np.float32)
    captions = ["first", "second", "third"]
    assert clean_captions(captions, image_cD, text_cD).captions == ["third", "first", "first"]
    near = clean_captions(captions, image_cD, text_cD, window=1)
    assert near.captions == ["second", "first", "second"]
    assert near.changed == 3


def test_equal_captions_that_take_each_others_place_are_no_change() -> None:
    image_cD = np.eye(2, dtype=np.float32)
    cleaned = clean_captions(["a man", "a man"], image_cD, image_cD[::-1].copy())
    assert cleaned.changed == 0


def test_the_prompt_numbers_the_captions_from_one() -> None:
    text = explanation_prompt(PROMPT, ["a man", "a {car}"], CLASSES)
    assert text == "1: a man\n2: a {car}\none of Normal, Arson, Fighting (Normal)"


@pytest.mark.parametrize("name", ["explanation", "explanation_demo"])
def test_the_packaged_prompts_take_captions(name: str) -> None:
    assert "1: a man walks" in explanation_prompt(load_prompt(name), ["a man walks"], CLASSES)


@pytest.mark.parametrize("around", ["{}", "Sure, here it is:\n```json\n{}\n```\nAnything else?"])
def test_json_amid_prose_is_read(around: str) -> None:
    record = parse_explanation(around.replace("{}", answer()), CLASSES, 3)
    assert record == Explanation(
        anomalous=True,
        category="Fighting",
        summary="two people fight.",
        reason="they hit each other.",
        evidence=[1],
    )
    assert record.text == "two people fight. they hit each other."


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("I see two people.", "no JSON object"),
        ("", "no JSON object"),
        (answer()[:-1], "broken JSON"),
        ("{anomalous: yes}", "broken JSON"),
        ('{"evidence": ' + "[" * 9000, "broken JSON"),
        (answer(summary="\ud800"), "summary: "),
        (answer(reason=None), "reason: Field required"),
        (answer(summary=""), "summary: "),
        (answer(evidence="all"), "evidence: "),
        (answer(mood="dark"), "mood: "),
        (answer(category="Theft"), "unknown category 'Theft'; known: Normal, Arson, Fighting"),
        (answer(category="Normal"), "anomalous=True contradicts category 'Normal'"),
        (answer(anomalous=False), "anomalous=False contradicts category 'Fighting'"),
    ],
)
def test_an_unusable_answer_is_refused_and_says_why(bad: str, why: str) -> None:
    with pytest.raises(ExplanationError) as caught:
        parse_explanation(bad, CLASSES, 3)
    assert why in str(caught.value)


def test_a_long_unusable_answer_is_quoted_in_short() -> None:
    with pytest.raises(ExplanationError) as caught:
        parse_explanation("blah " * 1000, CLASSES, 3)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("spelling", ["fighting", "FIGHTING", " Fighting "])
def test_the_category_is_matched_without_regard_to_case(spelling: str) -> None:
    assert parse_explanation(answer(category=spelling), CLASSES, 3).category == "Fighting"


def test_evidence_that_does_not_exist_or_comes_twice_is_dropped() -> None:
    record = parse_explanation(answer(evidence=[3, 0, 1, -1, 4, 3]), CLASSES, 3)
    assert record.evidence == [3, 1]


def test_only_unusable_answers_are_asked_again_and_told_what_was_wrong() -> None:
    llm = ScriptedLLM(
        [answer(), answer(category="Theft"), answer(summary="smoke")], [answer(category="Arson")]
    )
    results = explain([["one"], ["two"], ["three"]], llm, PROMPT, CLASSES)
    assert [r.category for r in results if isinstance(r, Explanation)] == [
        "Fighting",
        "Arson",
        "Fighting",
    ]
    assert len(llm.asked[0]) == 3
    (second,) = llm.asked[1]
    assert second.startswith(explanation_prompt(PROMPT, ["two"], CLASSES))
    assert "unknown category 'Theft'" in second


def test_rubbish_twice_is_an_error_in_its_place_while_the_others_keep_theirs() -> None:
    llm = ScriptedLLM([answer(), "rubbish", answer(category="Arson")], ["other rubbish"])
    first, second, third = explain([["a"], ["b"], ["c"]], llm, PROMPT, CLASSES)
    assert isinstance(first, Explanation)
    assert isinstance(second, ExplanationError)
    assert "other rubbish" in str(second)
    assert isinstance(third, Explanation)
    assert third.category == "Arson"


def test_a_third_try_is_told_of_the_last_mistake_only() -> None:
    llm = ScriptedLLM(["rubbish"], [answer(category="Theft")], [answer()])
    (result,) = explain([["a"]], llm, PROMPT, CLASSES, attempts=3)
    assert isinstance(result, Explanation)
    assert "Theft" in llm.asked[2][0]
    assert "rubbish" not in llm.asked[2][0]


def test_a_usable_answer_is_not_asked_again() -> None:
    llm = ScriptedLLM([answer()])
    explain([["a"]], llm, PROMPT, CLASSES, attempts=5)
    assert len(llm.asked) == 1


def test_a_text_is_encoded_sentence_by_sentence() -> None:
    encoder = FakeEncoder()
    text_feature(encoder, " A man walks. Is he alone?  He is!\nA car; a bus, Mr 3.5 ")
    assert encoder.batches == [
        ["A man walks.", "Is he alone?", "He is!", "A car;", "a bus, Mr 3.5"]
    ]


sentences = st.text(st.characters(codec="utf-8", exclude_characters=".!?;"), max_size=40)


@settings(deadline=None)
@given(sentences.filter(str.strip))
def test_the_feature_of_one_sentence_is_its_plain_feature(sentence: str) -> None:
    encoder = FakeEncoder()
    plain_D = encoder.encode_texts([sentence.strip()])[0]
    np.testing.assert_allclose(text_feature(encoder, sentence), plain_D, rtol=1e-4, atol=1e-6)


def test_the_feature_of_a_text_points_to_the_mean_direction_and_keeps_the_mean_length() -> None:
    encoder = FakeEncoder()
    feature_D = text_feature(encoder, "One. Two. Three.")
    plain_SD = encoder.encode_texts(["One.", "Two.", "Three."])
    lengths_S = np.linalg.norm(plain_SD, axis=1)
    mean_D = (plain_SD / lengths_S[:, None]).mean(0)
    assert np.linalg.norm(feature_D) == pytest.approx(lengths_S.mean(), rel=1e-5)
    cosine = feature_D @ mean_D / np.linalg.norm(feature_D) / np.linalg.norm(mean_D)
    assert cosine == pytest.approx(1, abs=1e-6)
    assert feature_D.dtype == np.float32


@pytest.mark.parametrize("text", ["", " \n", "..."])
def test_even_an_empty_text_has_a_feature(text: str) -> None:
    assert np.isfinite(text_feature(FakeEncoder(), text)).all()


@given(st.text(max_size=40), st.text(max_size=40), st.booleans())
def test_words_so_far_only_grow_into_the_whole_text(summary: str, reason: str, ascii: bool) -> None:
    record = {"anomalous": True, "category": "x", "summary": summary, "reason": reason}
    answer = json.dumps(record, ensure_ascii=ascii)
    told = [words_so_far(answer[:length]) for length in range(len(answer) + 1)]
    whole = f"{summary} {reason}"
    assert told[-1] == whole
    assert all(whole.startswith(said) for said in told)
