"""VERA on captions: verdicts with questions, smoothing, and what was not answered.

T snippets
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from exvad.baselines.common.smoothing import FAITHFUL, PostProcessing
from exvad.encoders.answers import Answer
from exvad.evaluation.training_free.vera import (
    CaptionJudge,
    Vera,
    VeraSettings,
    question_lines,
    start_questions,
)
from tests.helpers.captioned import WordEncoder, burning_video, quiet_video
from tests.helpers.fakes import ScriptedLLM
from tests.helpers.reading_llm import ReadingLLM

ASKS_FOR_FIRE = ("Are there flames?",)
NOTHING_AFTER = PostProcessing(share=0, width=0)


def vera(llm: Any = None, questions: Sequence[str] | None = ASKS_FOR_FIRE, **settings: Any) -> Vera:
    judge = CaptionJudge(WordEncoder(), llm or ReadingLLM())
    return Vera(judge, questions, VeraSettings(**settings))


def test_vera_finds_what_its_questions_ask_for() -> None:
    result = vera().score([burning_video(), quiet_video()])
    burning_T, quiet_T = (prediction.scores_T for prediction in result.predictions)
    assert burning_T[30:40].min() > burning_T[:20].max()
    assert quiet_T.max() == 0
    assert result.notes() == []


def test_vera_misses_what_no_question_asks_for() -> None:
    result = vera(questions=None).score([burning_video()])
    assert result.predictions[0].scores_T.max() == 0


def test_verdicts_are_0_or_1_before_the_smoothing() -> None:
    (prediction,) = vera(after=NOTHING_AFTER).score([burning_video()]).predictions
    assert set(np.unique(prediction.scores_T)) == {0, 1}
    assert (prediction.scores_T == 1).sum() == 20


def test_the_prompt_has_the_scene_and_the_questions() -> None:
    llm = ReadingLLM()
    vera(llm, ("Is it dark?", "Who is there?")).score([quiet_video()])
    assert "- an empty street\n\n" in llm.prompts[0]
    assert "- Is it dark?\n- Who is there?\n" in llm.prompts[0]
    assert len(llm.prompts) == 3  # only street, both, only people


def test_unreadable_verdicts_are_between_neighbours_or_abnormal_as_in_the_public_code() -> None:
    def scripted() -> ScriptedLLM:
        return ScriptedLLM(["Verdict: 0", "maybe", Answer("", refusal="no")])

    between = vera(scripted(), after=NOTHING_AFTER).score([quiet_video()])
    assert between.predictions[0].scores_T.max() == 0
    count = between.answers["verdicts"]
    assert (count.refused, count.unreadable) == (20, 10)
    assert "30 of 50 answers could not be used" in between.notes()[0]
    strict = vera(scripted(), unreadable_is_abnormal=True, after=NOTHING_AFTER)
    abnormal = strict.score([quiet_video()])
    assert abnormal.predictions[0].scores_T[:20].max() == 0
    assert abnormal.predictions[0].scores_T[20:30].min() == 1
    assert abnormal.answers["verdicts"] == count


def test_post_processing_is_a_setting() -> None:
    plain_T, faithful_T = (
        vera(after=after).score([burning_video()]).predictions[0].scores_T
        for after in (PostProcessing(), FAITHFUL)
    )
    assert not np.allclose(plain_T, faithful_T)


def test_start_questions_are_two_and_no_question_is_said() -> None:
    assert len(start_questions()) == 2
    assert question_lines(()) == "- (none)"
