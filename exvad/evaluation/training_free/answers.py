"""What language models are asked, what can be read in their answers, and how many answers can't."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from exvad.encoders.answers import Answer, without_thoughts

if TYPE_CHECKING:
    from exvad.encoders.protocols import LanguageModel

Value = TypeVar("Value")
LENGTH_SETTING = "llm.max_new_tokens"
MAX_QUESTIONS = 5
QUOTED_LETTERS = 120
_BRACKETED = re.compile(r"\[\s*([+-]?\d*\.?\d+)\s*\]")
_VERDICT = re.compile(r"verdict\W*([01])(?!\d|\.\d)", re.IGNORECASE)
_MARKER = re.compile(r"new\s+questions\W*", re.IGNORECASE)
_BULLET = re.compile(r"^(?:[-*•]|\(?\d+[.):])\s*")


@dataclass(frozen=True)
class AnswerCount:
    """How many answers of a step could be used.

    Args:
        asked: prompts that needed an answer.
        refused: of these, refused by the model or its provider.
        unreadable: of these, without what was asked for; answers that were cut off are among them.
        example: why the first of both could not be used; empty if all could.
    """

    asked: int = 0
    refused: int = 0
    unreadable: int = 0
    example: str = ""

    def __add__(self, other: AnswerCount) -> AnswerCount:
        return AnswerCount(
            self.asked + other.asked,
            self.refused + other.refused,
            self.unreadable + other.unreadable,
            self.example or other.example,
        )

    @property
    def unused(self) -> int:
        """Answers that could not be used."""
        return self.refused + self.unreadable

    def describe(self) -> str:
        """Return what could not be used, as a phrase; "" if everything could."""
        if not self.unused:
            return ""
        return (
            f"{self.unused} of {self.asked} answers could not be used ({self.refused} refused, "
            f"{self.unreadable} unreadable), the first because: {self.example}"
        )


def ask(llm: LanguageModel, prompts: Sequence[str]) -> list[Answer]:
    """Return the answer to each prompt; equal prompts are asked once.

    Args:
        llm: the language model.
        prompts: the prompts.
    """
    distinct = list(dict.fromkeys(prompts))
    answers = dict(zip(distinct, llm.complete(distinct) if distinct else [], strict=True))
    return [answers[prompt] for prompt in prompts]


def read_answers(
    answers: Sequence[Answer], read: Callable[[str], Value | None]
) -> tuple[list[Value | None], AnswerCount]:
    """Return what was read in each answer, None where nothing was, and the count of those.

    Args:
        answers: the answers.
        read: returns what a text without the model's thoughts says; None if it does not.
    """
    values: list[Value | None] = []
    count = AnswerCount()
    for answer in answers:
        value = None if answer.refusal else read(without_thoughts(answer.text))
        values.append(value)
        count += AnswerCount(
            1,
            int(bool(answer.refusal)),
            int(value is None and not answer.refusal),
            "" if value is not None else _reason(answer),
        )
    return values, count


def read_summary(text: str) -> str | None:
    """Return the last line of an answer that has words, without extra spaces; None if none has.

    What stands before it is a preamble, such as "Here is a summary:", and no part of the scene.

    Args:
        text: the answer.
    """
    lines = (" ".join(line.split()) for line in text.splitlines())
    return next((line for line in reversed(list(lines)) if line), None)


def read_score(text: str) -> float | None:
    """Return the score in an answer, 0 to 1.

    It is the last number in square brackets, or a number that is the whole answer.

    Args:
        text: the answer.
    """
    found = _BRACKETED.findall(text)
    try:
        score = float(found[-1] if found else text)
    except ValueError:
        return None
    return score if 0 <= score <= 1 else None


def read_verdict(text: str) -> float | None:
    """Return the last verdict in an answer, 0 or 1."""
    found = _VERDICT.findall(text)
    return float(found[-1]) if found else None


def read_questions(text: str) -> tuple[str, ...] | None:
    """Return the questions after the last marker in an answer, at most five, without bullets."""
    markers = list(_MARKER.finditer(text))
    if not markers:
        return None
    lines = (_BULLET.sub("", line.strip()) for line in text[markers[-1].end() :].splitlines())
    questions = tuple(" ".join(line.split()) for line in lines if line.strip())
    return questions[:MAX_QUESTIONS] or None


def _reason(answer: Answer) -> str:
    defect = answer.describe_defect(LENGTH_SETTING)
    if defect:
        return defect
    text = " ".join(without_thoughts(answer.text).split())
    shown = text if len(text) <= QUOTED_LETTERS else f"{text[:QUOTED_LETTERS]}…"
    return f"it says {shown!r}"
