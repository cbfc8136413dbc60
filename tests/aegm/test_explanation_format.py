"""The format of an explanation: which answers are valid, and the text of partial ones."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exvad.aegm.explanation_format import (
    ExplanationError,
    RefusalError,
    parse_answer,
    parse_explanation,
    partial_text,
)
from exvad.encoders.answers import Answer
from exvad.results import Explanation
from tests.helpers.explanations import CLASSES, explanation_json


@pytest.mark.parametrize("around", ["{}", "Sure, here it is:\n```json\n{}\n```\nAnything else?"])
def test_parse_explanation_finds_json_in_prose(around: str) -> None:
    record = parse_explanation(around.replace("{}", explanation_json()), CLASSES, 3)
    assert record == Explanation(
        anomalous=True,
        category="Fighting",
        summary="two people fight.",
        reason="they hit each other.",
        evidence=[1],
    )
    assert record.text == "two people fight. they hit each other."


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("I see two people.", "no JSON object"),
        ("", "no JSON object"),
        (explanation_json()[:-1], "broken JSON"),
        ("{anomalous: yes}", "broken JSON"),
        ('{"evidence": ' + "[" * 9000, "broken JSON"),
        (explanation_json(summary="\ud800"), "summary: "),
        (explanation_json(reason=None), "reason: Field required"),
        (explanation_json(summary=""), "summary: "),
        (explanation_json(evidence="all"), "evidence: "),
        (explanation_json(mood="dark"), "mood: "),
        (
            explanation_json(category="Theft"),
            "unknown category 'Theft'; known: Normal, Arson, Fighting",
        ),
        (explanation_json(category="Normal"), "anomalous=True contradicts category 'Normal'"),
        (explanation_json(anomalous=False), "anomalous=False contradicts category 'Fighting'"),
    ],
)
def test_parse_explanation_rejects_an_invalid_answer_with_the_reason(
    answer: str, error: str
) -> None:
    with pytest.raises(ExplanationError) as caught:
        parse_explanation(answer, CLASSES, 3)
    assert error in str(caught.value)


def test_parse_explanation_quotes_the_start_of_a_long_invalid_answer() -> None:
    with pytest.raises(ExplanationError) as caught:
        parse_explanation("blah " * 1000, CLASSES, 3)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("spelling", ["fighting", "FIGHTING", " Fighting "])
def test_parse_explanation_matches_the_category_in_any_case(spelling: str) -> None:
    record = parse_explanation(explanation_json(category=spelling), CLASSES, 3)
    assert record.category == "Fighting"


def test_parse_explanation_drops_repeated_evidence_and_evidence_out_of_range() -> None:
    record = parse_explanation(explanation_json(evidence=[3, 0, 1, -1, 4, 3]), CLASSES, 3)
    assert record.evidence == [3, 1]


DRAFT = explanation_json(category="Arson", summary="a bin burns.", reason="smoke.")


@pytest.mark.parametrize(
    "before",
    [
        f"<think>{DRAFT}</think>",
        f"{DRAFT}</think>",
        f"First: {DRAFT}. No, ",
        "{" * 200,
        "{x} " * 99,
    ],
)
def test_parse_explanation_takes_the_last_record_after_the_thoughts(before: str) -> None:
    assert parse_explanation(before + explanation_json(), CLASSES, 3).category == "Fighting"


def test_parse_explanation_takes_the_last_valid_record() -> None:
    text = f'{DRAFT} {explanation_json()} as in {{"type": "object"}} or {{this}}'
    assert parse_explanation(text, CLASSES, 3).category == "Fighting"


def test_parse_explanation_finds_nothing_in_thoughts_that_have_not_ended() -> None:
    with pytest.raises(ExplanationError, match="no JSON object in the answer ''"):
        parse_explanation(f"<think>{DRAFT} but", CLASSES, 3)


def test_parse_explanation_names_the_error_of_the_last_whole_object() -> None:
    text = f"Set {{A}}. {explanation_json(category='Theft', mood={'dark': 1})} Hope {{this}} helps"
    with pytest.raises(ExplanationError, match="mood"):
        parse_explanation(text, CLASSES, 3)


@pytest.mark.parametrize(
    "text", ["I will", explanation_json()[:-9], DRAFT + explanation_json()[:40]]
)
def test_parse_answer_says_at_which_length_an_answer_was_cut_off(text: str) -> None:
    with pytest.raises(ExplanationError, match=r"cut off at 64 tokens: raise llm\.max_new_tokens"):
        parse_answer(Answer(text, cut_off_at=64), CLASSES, 3)


def test_parse_answer_accepts_a_whole_record_that_was_cut_off_after_it() -> None:
    answer = Answer(f"{explanation_json()} I hope that this", cut_off_at=64)
    assert parse_answer(answer, CLASSES, 3).category == "Fighting"


def test_parse_answer_names_answers_without_text_and_refusals() -> None:
    with pytest.raises(
        ExplanationError, match=r"only with its reasoning: raise llm\.max_new_tokens"
    ):
        parse_answer(Answer("", only_thoughts=True), CLASSES, 3)
    with pytest.raises(RefusalError, match="refused: too violent"):
        parse_answer(Answer("", refusal="too violent"), CLASSES, 3)


def test_partial_text_shows_neither_thoughts_nor_a_draft_before_the_record() -> None:
    assert partial_text(f"<think>{DRAFT}") == ""
    complete = "two people fight. they hit each other."
    for before in (f"<think>{DRAFT}</think>", f"{DRAFT} no: "):
        answer = before + explanation_json()
        texts = [partial_text(answer[:length]) for length in range(len(before) + 60, len(answer))]
        assert texts[-1] == complete
        assert all(complete.startswith(text) or text == "a bin burns. smoke." for text in texts)
    assert partial_text(f"<think>{DRAFT}</think>{{") == ""


@given(st.text(max_size=40), st.text(max_size=40), st.booleans())
@example("\\u", "\\\\u12", True)
def test_partial_text_grows_into_the_complete_text(summary: str, reason: str, ascii: bool) -> None:
    record = {"anomalous": True, "category": "x", "summary": summary, "reason": reason}
    answer = json.dumps(record, ensure_ascii=ascii)
    partial_texts = [partial_text(answer[:length]) for length in range(len(answer) + 1)]
    complete = f"{summary} {reason}"
    assert partial_texts[-1] == complete
    assert all(complete.startswith(text) for text in partial_texts)
