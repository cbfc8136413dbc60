"""Answers of language models: thoughts, defects."""

from __future__ import annotations

import pytest

from exvad.encoders.answers import Answer, open_thoughts, without_thoughts


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("a fire", "a fire"),
        ("<think>it burns</think>\n\na fire", "a fire"),
        ("it burns</think>a fire", "a fire"),
        ("<think>one</think>draft<think>two</think>a fire", "a fire"),
        ("[THINK]it burns[/THINK]a fire", "a fire"),
        ("<think>it bur", ""),
        ("a draft <think>or ra", "a draft"),
        ("", ""),
    ],
)
def test_without_thoughts_returns_the_text_after_them(text: str, answer: str) -> None:
    assert without_thoughts(text) == answer


def test_open_thoughts_finds_the_mark_that_a_chat_template_opened() -> None:
    assert open_thoughts("<user>hi<assistant><think>\n") == "<think>"
    assert open_thoughts("<assistant><think>\n\n</think>\n\n") == ""
    assert open_thoughts("what does <think> mean?") == ""


@pytest.mark.parametrize(
    ("answer", "defect"),
    [
        (Answer("a fire"), ""),
        (Answer(""), ""),
        (Answer("a fi", cut_off_at=9), "the answer was cut off at 9 tokens: raise llm.length"),
        (
            Answer("<think>it", cut_off_at=9),
            "the model answered only with its reasoning and was cut off at 9 tokens: raise "
            "llm.length, or disable the model's thinking",
        ),
        (
            Answer("", only_thoughts=True),
            "the model answered only with its reasoning: raise llm.length, or disable the model's "
            "thinking",
        ),
        (Answer("", refusal="I can't watch this"), "refused: I can't watch this"),
    ],
)
def test_describe_defect_says_what_is_wrong_and_what_to_do(answer: Answer, defect: str) -> None:
    assert answer.describe_defect("llm.length") == defect
