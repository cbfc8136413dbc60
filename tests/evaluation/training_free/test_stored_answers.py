"""Kept answers: asked once, over processes, and whatever a killed one left behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from exvad.encoders.answers import Answer
from exvad.evaluation.training_free.lavad import Lavad
from exvad.evaluation.training_free.stored_answers import StoredAnswers
from tests.helpers.captioned import WordEncoder, burning_video
from tests.helpers.fakes import ScriptedLLM
from tests.helpers.reading_llm import ReadingLLM


class StoppedError(Exception):
    """The run was stopped."""


class StoppingLLM(ReadingLLM):
    """A reading model that stops the run after some prompts."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        """Return the answers, or stop."""
        if len(self.prompts) + len(prompts) > self.last:
            raise StoppedError
        return super().complete(prompts)


def test_answers_are_kept_for_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.jsonl"
    odd = Answer("", cut_off_at=5, only_thoughts=True)
    first = StoredAnswers(ScriptedLLM(["one", odd]), path, "m")
    assert first.complete(["a", "b", "a"]) == [Answer("one"), odd, Answer("one")]
    assert first.complete(["b"]) == [odd]
    second = StoredAnswers(ScriptedLLM([Answer("", refusal="no")]), path, "m")
    assert second.complete(["b", "c", "a"]) == [odd, Answer("", refusal="no"), Answer("one")]


def test_answers_of_another_model_are_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    StoredAnswers(ScriptedLLM(["one"]), path, "m").complete(["a"])
    other = StoredAnswers(ScriptedLLM(["two"]), path, "other")
    assert other.complete(["a"]) == [Answer("two")]
    assert StoredAnswers(ScriptedLLM(), path, "m").complete(["a"]) == [Answer("one")]


def test_a_line_that_was_not_finished_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    StoredAnswers(ScriptedLLM(["one", "two"]), path, "m").complete(["a", "b"])
    path.write_bytes(path.read_bytes()[:-9])
    llm = ScriptedLLM(["again"])
    assert StoredAnswers(llm, path, "m").complete(["a", "b"]) == [Answer("one"), Answer("again")]
    again = StoredAnswers(ScriptedLLM(), path, "m")
    assert again.complete(["a", "b"]) == [Answer("one"), Answer("again")]


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"text": "no key"}', '{"key": "k", "x": 1}'])
def test_a_line_that_is_no_answer_is_refused_with_its_number(line: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=r"answers\.jsonl, line 1: no stored answer"):
        StoredAnswers(ScriptedLLM(), path, "m")


def test_a_run_that_was_stopped_continues_without_asking_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    stopping = StoppingLLM(6)
    with pytest.raises(StoppedError):
        Lavad(WordEncoder(), StoredAnswers(stopping, path, "m")).score([burning_video()])
    assert stopping.prompts
    continuing = ReadingLLM()
    result = Lavad(WordEncoder(), StoredAnswers(continuing, path, "m")).score([burning_video()])
    assert not set(stopping.prompts) & set(continuing.prompts)
    whole = Lavad(WordEncoder(), ReadingLLM()).score([burning_video()])
    np.testing.assert_array_equal(result.predictions[0].scores_T, whole.predictions[0].scores_T)
