"""LAVAD on captions: it finds what they tell of, step by step, and says what was not answered.

T snippets · C classes
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from exvad.config import EndpointConfig
from exvad.encoders.answers import Answer
from exvad.encoders.endpoint import ChatEndpoint, EndpointLLM
from exvad.evaluation.training_free.lavad import Lavad, LavadSettings
from tests.helpers.captioned import (
    FIRE,
    LABELS,
    STREET,
    WALK,
    WordEncoder,
    burning_video,
    captioned_video,
    quiet_video,
)
from tests.helpers.chat_endpoint import ChatServer, Reply, answer_reply, error_reply
from tests.helpers.reading_llm import ReadingLLM


class FaultyLLM(ReadingLLM):
    """A reading model with another answer to prompts that hold a phrase."""

    def __init__(self, phrase: str, answer: Answer) -> None:
        super().__init__()
        self.phrase, self.answer = phrase, answer

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        """Return the usual answers, or the fault."""
        usual = super().complete(prompts)
        return [
            self.answer if self.phrase in prompt else answer
            for prompt, answer in zip(prompts, usual, strict=True)
        ]


def lavad(llm: Any = None, **settings: Any) -> Lavad:
    return Lavad(WordEncoder(), llm or ReadingLLM(), LavadSettings(**settings))


def test_lavad_finds_the_event_that_the_captions_tell_of() -> None:
    result = lavad().score([burning_video(), quiet_video()])
    burning_T, quiet_T = (prediction.scores_T for prediction in result.predictions)
    assert burning_T.shape == (60,)
    assert burning_T[30:40].min() > burning_T[:20].max()
    assert burning_T[30:40].min() > burning_T[50:].max()
    assert quiet_T.max() < burning_T[30:40].min()
    assert result.notes() == []
    assert result.undecided == ()


def test_lavad_asks_for_a_summary_and_a_score_of_every_distinct_window() -> None:
    llm = ReadingLLM()
    result = lavad(llm).score([quiet_video()])
    # Only street, only people, and both of them.
    assert len(llm.prompts) == 6
    assert {step: count.asked for step, count in result.answers.items()} == {
        "summaries": 50,
        "scores": 50,
    }
    assert "police" in llm.prompts[-1]
    assert f"{STREET}. {WALK}." in llm.prompts[-2]


def test_lavad_is_the_same_every_time() -> None:
    first, second = (lavad().score([burning_video()]).predictions[0].scores_T for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_each_step_can_be_left_out() -> None:
    llm = ReadingLLM()
    plain = lavad(llm, summarize=False, role=False, similar=0).score([burning_video()])
    assert set(np.unique(plain.predictions[0].scores_T)) == {np.float32(0.1), np.float32(0.9)}
    assert list(plain.answers) == ["scores"]
    assert not any("police" in prompt or "two or three" in prompt for prompt in llm.prompts)
    # Windows reach five seconds to both sides.
    assert (plain.predictions[0].scores_T > 0.5).sum() == 20


def test_cleaning_finds_the_event_where_captions_are_at_wrong_places() -> None:
    scenes = [STREET] * 30 + [FIRE] * 10 + [WALK] * 20
    confused = captioned_video(scenes, captioned=(2, 30, 55), captions=(FIRE, STREET, WALK))
    cleaned, nearest = (
        lavad(clean=clean, similar=0).score([confused]).predictions[0].scores_T
        for clean in (True, False)
    )
    assert cleaned[30:40].min() > cleaned[:20].max()
    assert nearest[:10].min() > nearest[30:40].max()


def test_refinement_corrects_windows_that_do_not_look_like_their_summary() -> None:
    video = burning_video()
    refined_T = lavad(similar=10).score([video]).predictions[0].scores_T
    plain_T = lavad(similar=0).score([video]).predictions[0].scores_T
    # The window of snippet 25 shows an empty street, but for one of its eleven snippets.
    assert plain_T[25] == np.float32(0.9)
    assert refined_T[25] < 0.5 < refined_T[30:40].min()


def test_windows_at_a_distance_leave_lines_between_them() -> None:
    llm = ReadingLLM()
    video = burning_video()
    sparse = lavad(llm, every=7, similar=0).score([video])
    assert sparse.answers["scores"].asked == 10  # 0, 7, … 56, and the last
    dense_T = lavad(similar=0).score([video]).predictions[0].scores_T
    np.testing.assert_allclose(sparse.predictions[0].scores_T[::7], dense_T[::7])


def test_scores_that_are_missing_lie_between_those_of_neighbours_and_are_counted() -> None:
    llm = FaultyLLM(f"scene:\n\n{STREET}. {WALK}.", Answer("", refusal="too violent"))
    result = lavad(llm, similar=0).score([quiet_video()])
    np.testing.assert_allclose(result.predictions[0].scores_T, 0.1, rtol=1e-6)
    count = result.answers["scores"]
    assert count.refused > 0
    assert result.notes() == [
        f"scores: {count.refused} of 50 answers could not be used ({count.refused} refused, 0 "
        "unreadable), the first because: refused: too violent"
    ]


def test_windows_without_a_summary_have_no_score_of_their_own() -> None:
    llm = FaultyLLM(f"- {STREET}\n- {FIRE}", Answer("", cut_off_at=9))
    result = lavad(llm).score([burning_video()])
    missing = result.answers["summaries"].unreadable
    assert missing > 0
    assert result.answers["scores"].asked == 60 - missing
    assert np.isfinite(result.predictions[0].scores_T).all()


def test_a_video_without_any_usable_answer_is_undecided_and_said() -> None:
    llm = FaultyLLM("flames", Answer("I would rather not say"))
    only_fire = captioned_video([FIRE] * 8, "fire")
    result = lavad(llm, summarize=False).score([only_fire, quiet_video()])
    np.testing.assert_array_equal(result.predictions[0].scores_T, np.full(8, 0.5, np.float32))
    assert result.undecided == ("fire",)
    assert result.notes()[-1] == (
        "no usable answer about 1 of 2 videos, which have the score 0.5 everywhere: fire"
    )


def test_a_model_that_answers_nothing_usable_is_an_error_with_its_words() -> None:
    llm = FaultyLLM("", Answer("lorem ipsum"))
    with pytest.raises(ValueError, match=r"LAVAD got no usable answer .*lorem ipsum.*llm\.model"):
        lavad(llm).score([quiet_video()])


def test_labels_give_a_zero_shot_class_map() -> None:
    label_CD = WordEncoder().encode_texts([STREET, FIRE, "a robbery"])
    system = Lavad(WordEncoder(), ReadingLLM(), label_CD=label_CD)
    (prediction,) = system.score([burning_video()]).predictions
    map_TC = prediction.probabilities_TC
    assert map_TC is not None
    assert map_TC.shape == (60, len(LABELS))
    np.testing.assert_allclose(map_TC.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(1 - map_TC[:, 0], prediction.scores_T, atol=1e-6)
    assert (map_TC[30:40, 1] > map_TC[30:40, 2]).all()


def test_a_single_snippet_is_a_video() -> None:
    result = lavad().score([captioned_video([FIRE])])
    np.testing.assert_allclose(result.predictions[0].scores_T, [0.9], rtol=1e-6)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    """A reading model behind HTTP, whose provider refuses to rate scenes with people alone."""
    model = ReadingLLM()

    def answer(body: dict[str, Any], _: int) -> Reply:
        prompt = body["messages"][0]["content"]
        if f"scene:\n\n{WALK}." in prompt:
            return error_reply(400, "the content policy does not allow this")
        return answer_reply(model.read(prompt))

    running = ChatServer(answer)
    yield running
    running.close()


def test_lavad_by_an_endpoint_equals_lavad_in_process_and_counts_its_refusals(
    server: ChatServer,
) -> None:
    remote = EndpointLLM(ChatEndpoint("m", EndpointConfig(base_url=server.url), 64))
    video = burning_video()
    result = lavad(remote, similar=0).score([video])
    local_T = lavad(similar=0).score([video]).predictions[0].scores_T
    scores_T = result.predictions[0].scores_T
    np.testing.assert_allclose(scores_T[:45], local_T[:45])
    # Beyond the last answer its score goes on.
    np.testing.assert_allclose(scores_T[45:], local_T[44])
    assert result.answers["scores"].refused == 15
    assert "content policy" in result.notes()[0]


def test_times_decide_how_many_snippets_a_window_has() -> None:
    dense = replace(burning_video(), times=np.arange(60) * 0.1)
    scores_T = lavad(similar=0).score([dense]).predictions[0].scores_T
    # Every window of ten seconds reaches over the whole fire of one second.
    np.testing.assert_allclose(scores_T, 0.9, rtol=1e-6)
