"""What is read in answers of language models, and the count of those without anything to read."""

from __future__ import annotations

import pytest

from exvad.encoders.answers import Answer
from exvad.evaluation.training_free.answers import (
    AnswerCount,
    ask,
    read_answers,
    read_questions,
    read_score,
    read_summary,
    read_verdict,
)
from tests.helpers.fakes import ScriptedLLM


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("[0.7]", 0.7),
        ("I would say [ 1 ].", 1.0),
        ("First [0.2], but on second thought [.9]", 0.9),
        ("0.3", 0.3),
        ("very suspicious", None),
        ("[1.5]", None),
        ("[-0.1]", None),
        ("[0.1, 0.2]", None),
        ("", None),
        ("nan", None),
    ],
)
def test_read_score_finds_one_number_from_0_to_1(text: str, score: float | None) -> None:
    assert read_score(text) == score


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Nothing happens.\nVerdict: 0", 0.0),
        ("**Verdict:** 1", 1.0),
        ("Verdict: 1 … no: verdict: 0.", 0.0),
        ("Verdict: 0 or 1", 0.0),
        ("Verdict: 10", None),
        ("Verdict: 0.5", None),
        ("It is abnormal", None),
    ],
)
def test_read_verdict_finds_the_last_one(text: str, verdict: float | None) -> None:
    assert read_verdict(text) == verdict


def test_read_questions_finds_five_lines_after_the_last_marker() -> None:
    text = "New questions: none yet.\n**New questions:**\n\n1. A?\n- B?\n(3) C?\nD?\nE?\nF?"
    assert read_questions(text) == ("A?", "B?", "C?", "D?", "E?")
    assert read_questions("A?\nB?") is None
    assert read_questions("New questions:\n\n") is None


def test_ask_asks_equal_prompts_once() -> None:
    llm = ScriptedLLM(["one", "two"])
    answers = ask(llm, ["a", "b", "a", "a"])
    assert llm.prompts == [["a", "b"]]
    assert [answer.text for answer in answers] == ["one", "two", "one", "one"]
    assert ask(llm, []) == []


def test_read_answers_counts_refusals_and_what_is_unreadable() -> None:
    answers = [
        Answer("<think>[0.9]</think>[0.2]"),
        Answer("", refusal="too violent"),
        Answer("[0.", cut_off_at=64),
        Answer("no idea"),
    ]
    values, count = read_answers(answers, read_score)
    assert values == [0.2, None, None, None]
    assert count == AnswerCount(4, 1, 2, "refused: too violent")
    assert count.describe().startswith(
        "3 of 4 answers could not be used (1 refused, 2 unreadable), the first because: refused"
    )
    assert (AnswerCount(1) + count).asked == 5
    assert AnswerCount(7).describe() == ""


def test_the_reason_of_an_unreadable_answer_quotes_it_or_says_that_it_was_cut_off() -> None:
    _, cut_off = read_answers([Answer("[0.", cut_off_at=64)], read_score)
    assert cut_off.example == "the answer was cut off at 64 tokens: raise llm.max_new_tokens"
    _, chatty = read_answers([Answer("well " * 99)], read_score)
    assert chatty.example.startswith("it says 'well well")
    assert chatty.example.endswith("…'")


def test_a_summary_is_the_last_line_of_an_answer() -> None:
    assert (
        read_summary("Here is a summary:\n\nA car stops.  It burns. \n") == "A car stops. It burns."
    )
    assert read_summary(" \n") is None
