"""Answers that are no captions."""

from __future__ import annotations

import pytest

from exvad.encoders.answers import Answer, CaptionError
from exvad.encoders.captioners.captions import caption_texts


def test_captions_are_answers_without_thoughts() -> None:
    answers = [Answer(" a fire\n"), Answer("<think>smoke?</think> a park")]
    assert caption_texts(answers, "m") == ["a fire", "a park"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("\n"), "set another captioner.prompt"),
        (Answer("<think>The user", cut_off_at=40), "raise captioner.max_new_tokens"),
        (Answer("<think>The user"), "only with its reasoning"),
        (Answer("", refusal="400: filtered"), "refused: 400: filtered"),
    ],
)
def test_an_answer_without_a_caption_is_an_error_with_model_frame_and_reason(
    answer: Answer, reason: str
) -> None:
    with pytest.raises(CaptionError, match=f"^m wrote no caption for frame 2 of 2 .*{reason}"):
        caption_texts([Answer("a fire"), answer], "m")
