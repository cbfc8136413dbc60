"""The learning of questions: it finds what to ask for, and keeps the best."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exvad.encoders.answers import Answer
from exvad.evaluation.training_free.vera import CaptionJudge, Vera, start_questions
from exvad.evaluation.training_free.vera_learning import (
    LabelledVideo,
    LearnedQuestions,
    LearningSettings,
    learn_questions,
    uniform_rows,
)
from tests.helpers.captioned import FIRE, STREET, WALK, WordEncoder, burning_video, captioned_video
from tests.helpers.fakes import ScriptedLLM
from tests.helpers.reading_llm import ReadingLLM

PUNCHES = "a man punches another"


def labelled(scene: str, number: int) -> LabelledVideo:
    scenes = [STREET] * 4 + [scene] * 8 + [WALK] * 4
    return LabelledVideo(captioned_video(scenes, f"v{number}"), scene in (FIRE, PUNCHES))


TRAINING = [labelled(scene, number) for number, scene in enumerate([FIRE, WALK, PUNCHES, STREET])]
VALIDATION = [labelled(scene, 9) for scene in (FIRE, WALK, STREET, PUNCHES)]


def judge(llm: Any = None) -> CaptionJudge:
    return CaptionJudge(WordEncoder(), llm or ReadingLLM())


def learn(optimizer: Any = None, **settings: Any) -> LearnedQuestions:
    settings = {"epochs": 2, "validate_every": 1} | settings
    return learn_questions(
        judge(), optimizer or ReadingLLM(), TRAINING, VALIDATION, LearningSettings(**settings)
    )


def test_learning_asks_for_what_was_missed() -> None:
    learned = learn()
    assert learned.history[0] == 0.5
    assert learned.accuracy == 1
    assert learned.questions[:2] == start_questions()
    assert {"Are there flames?", "Are there punches?"} <= set(learned.questions)
    assert learned.answers["verdicts"].unused == 0


def test_learned_questions_find_the_event_that_the_first_ones_miss() -> None:
    (prediction,) = Vera(judge(), learn().questions).score([burning_video()]).predictions
    assert prediction.scores_T[30:40].min() > prediction.scores_T[:20].max()


def test_learning_is_the_same_every_time_and_another_with_another_seed() -> None:
    assert learn() == learn()
    histories = [learn(seed=seed, batch=1).history for seed in range(4)]
    assert any(history != histories[0] for history in histories)


def test_optimizer_sees_captions_answers_decisions_and_the_truth() -> None:
    optimizer = ReadingLLM()
    learn(optimizer, batch=4, epochs=1)
    (prompt,) = optimizer.prompts
    assert (
        f"- {STREET}\n- {FIRE}\n- {WALK}\nAnswer: I see nothing. Verdict: 0\nDecided: 0\nTruth: 1"
        in prompt
    )
    assert start_questions()[0] in prompt


def test_the_best_questions_on_validation_are_kept() -> None:
    optimizer = ScriptedLLM(
        ["New questions:\nAre there flames?\nAre there punches?"],
        ["New questions:\nIs it dark?"],
    )
    learned = learn(optimizer, epochs=1)
    assert learned.history == {0: 0.5, 1: 1.0, 2: 0.5}
    assert learned.questions == ("Are there flames?", "Are there punches?")


def test_answers_without_questions_change_nothing_and_are_counted() -> None:
    optimizer = ScriptedLLM(["I can't."], [Answer("", refusal="no")])
    learned = learn(optimizer, epochs=1)
    assert learned.questions == start_questions()
    count = learned.answers["questions"]
    assert (count.asked, count.refused, count.unreadable) == (2, 1, 1)


def test_an_answer_without_a_verdict_is_wrong() -> None:
    silent = judge(ScriptedLLM(*[["I can't say"] * 2] * 3))
    optimizer = ScriptedLLM(["New questions:\nWhat?"])
    settings = LearningSettings(epochs=1, batch=2)
    learned = learn_questions(silent, optimizer, TRAINING[:2], VALIDATION[:2], settings)
    assert learned.accuracy == 0
    assert "Decided: unreadable" in optimizer.prompts[0][0]
    assert learned.answers["verdicts"].unreadable == 6


def test_learning_needs_videos() -> None:
    with pytest.raises(ValueError, match="0 and 4"):
        learn_questions(judge(), ReadingLLM(), [], VALIDATION)


@pytest.mark.parametrize("length", [1, 3, 8, 100])
def test_uniform_rows_lie_in_the_video_at_equal_distances(length: int) -> None:
    rows_M = uniform_rows(length, 8)[0]
    assert rows_M.shape == (8,)
    assert rows_M.min() >= 0
    assert rows_M.max() <= length - 1
    assert np.ptp(np.diff(rows_M)) <= 1
