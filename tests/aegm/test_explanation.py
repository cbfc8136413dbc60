"""Explanations: prompts, and retries after answers that cannot be used."""

from __future__ import annotations

import pytest

from exvad.aegm.explanation import explain, explanation_prompt
from exvad.aegm.explanation_format import ExplanationError
from exvad.aegm.prompts import Prompt, load_prompt
from exvad.encoders.answers import Answer
from exvad.results import Explanation
from tests.helpers.explanations import CLASSES, explanation_json
from tests.helpers.fakes import ScriptedLLM

PROMPT = Prompt("mine", "{captions}\none of {classes} ({normal})")


def test_explanation_prompt_numbers_the_captions_from_one() -> None:
    text = explanation_prompt(PROMPT, ["a man", "a {car}"], CLASSES)
    assert text == "1: a man\n2: a {car}\none of Normal, Arson, Fighting (Normal)"


@pytest.mark.parametrize("name", ["explanation", "explanation_demo"])
def test_explanation_prompt_fills_the_packaged_templates(name: str) -> None:
    assert "1: a man walks" in explanation_prompt(load_prompt(name), ["a man walks"], CLASSES)


def test_explain_retries_invalid_answers_only_and_appends_the_error() -> None:
    llm = ScriptedLLM(
        [
            explanation_json(),
            explanation_json(category="Theft"),
            explanation_json(summary="smoke"),
        ],
        [explanation_json(category="Arson")],
    )
    results = explain([["one"], ["two"], ["three"]], llm, PROMPT, CLASSES)
    assert [r.category for r in results if isinstance(r, Explanation)] == [
        "Fighting",
        "Arson",
        "Fighting",
    ]
    assert len(llm.prompts[0]) == 3
    (retry,) = llm.prompts[1]
    assert retry.startswith(explanation_prompt(PROMPT, ["two"], CLASSES))
    assert "unknown category 'Theft'" in retry


def test_explain_returns_the_last_error_of_a_video_in_its_place() -> None:
    llm = ScriptedLLM(
        [explanation_json(), "rubbish", explanation_json(category="Arson")], ["other rubbish"]
    )
    first, second, third = explain([["a"], ["b"], ["c"]], llm, PROMPT, CLASSES)
    assert isinstance(first, Explanation)
    assert isinstance(second, ExplanationError)
    assert "other rubbish" in str(second)
    assert isinstance(third, Explanation)
    assert third.category == "Arson"


def test_explain_appends_only_the_last_error_to_a_third_attempt() -> None:
    llm = ScriptedLLM(["rubbish"], [explanation_json(category="Theft")], [explanation_json()])
    (result,) = explain([["a"]], llm, PROMPT, CLASSES, attempts=3)
    assert isinstance(result, Explanation)
    assert "Theft" in llm.prompts[2][0]
    assert "rubbish" not in llm.prompts[2][0]


def test_explain_does_not_retry_a_valid_answer() -> None:
    llm = ScriptedLLM([explanation_json()])
    explain([["a"]], llm, PROMPT, CLASSES, attempts=5)
    assert len(llm.prompts) == 1


def test_explain_retries_an_answer_that_was_cut_off_but_not_a_refusal() -> None:
    cut_off = Answer(explanation_json()[:50], cut_off_at=64)
    refusal = Answer("", refusal="too violent")
    llm = ScriptedLLM([cut_off, refusal, "<think>hm</think>"], [explanation_json(), cut_off])
    whole, refused, again = explain([["a"], ["b"], ["c"]], llm, PROMPT, CLASSES)
    assert isinstance(whole, Explanation)
    assert str(refused) == "refused: too violent"
    assert "cut off at 64 tokens" in str(again)
    assert "cut off at 64 tokens" in llm.prompts[1][0]
