"""Callers join the batch of a running model, and get the answers that they would get alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from exvad.aegm.explanation import explanation_prompt
from exvad.aegm.prompts import load_prompt
from exvad.data.world.activities import CLASSES
from exvad.encoders.answers import Answer
from exvad.encoders.engine import EngineError
from exvad.encoders.llm import TransformersLLM
from exvad.serving.language import continuous
from exvad.serving.language.continuous import ContinuousLLM

CACHE_TOKENS = 2048


def prompt(captions: int) -> str:
    """Return the prompt of a video in which someone walks and then sets fire to something."""
    seen = ["a person in red walks in a park by day"] * captions
    seen[-1] = "a person in red sets fire to a bin in a park by day"
    return explanation_prompt(load_prompt("explanation_demo"), seen, CLASSES)


PROMPTS = [prompt(captions) for captions in (14, 3, 9, 1)]


@pytest.fixture(scope="module")
def alone() -> list[Answer]:
    """The answer to each prompt by a model that has nothing else to do."""
    llm = TransformersLLM("package:llm", "cpu", "float32", max_new_tokens=96)
    return [llm.complete([text])[0] for text in PROMPTS]


@pytest.fixture(scope="module")
def llm() -> Iterator[ContinuousLLM]:
    model = TransformersLLM("package:llm", "cpu", "float32", max_new_tokens=96)
    continuous = ContinuousLLM(model, CACHE_TOKENS)
    yield continuous
    continuous.close()


async def last(llm: ContinuousLLM, prompts: list[str]) -> list[Answer]:
    """Return the whole answers."""
    answers: list[Answer] = []
    async for partial_answers in llm.answer(prompts):
        answers = partial_answers
    return answers


def test_first_words_of_a_second_request_come_before_the_first_has_ended(
    llm: ContinuousLLM, alone: list[Answer]
) -> None:
    events: list[str] = []
    first_has_words = asyncio.Event()

    async def ask(name: str, text: str) -> Answer:
        answers = [Answer("")]
        async for answers in llm.answer([text]):
            if answers[0].text and f"{name} began" not in events:
                events.append(f"{name} began")
                first_has_words.set()
        events.append(f"{name} ended")
        return answers[0]

    async def both() -> list[Answer]:
        first = asyncio.create_task(ask("first", PROMPTS[0]))
        await first_has_words.wait()
        return [await ask("second", PROMPTS[1]), await first]

    assert asyncio.run(both()) == [alone[1], alone[0]]
    assert events.index("second began") < events.index("first ended")


def test_answers_are_those_of_the_model_alone(llm: ContinuousLLM, alone: list[Answer]) -> None:
    async def all_at_once() -> list[list[Answer]]:
        groups = (PROMPTS[:2], PROMPTS[2:3], PROMPTS[3:])
        return list(await asyncio.gather(*(last(llm, group) for group in groups)))

    assert asyncio.run(all_at_once()) == [alone[:2], alone[2:3], alone[3:]]
    assert all(answer.text.endswith("}") and not answer.cut_off_at for answer in alone)


def test_answers_grow(
    llm: ContinuousLLM, alone: list[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuous, "PARTIAL_SECONDS", 0.0)  # however quick the machine is

    async def collect() -> list[list[Answer]]:
        return [answers async for answers in llm.answer(PROMPTS[:2])]

    seen = asyncio.run(collect())
    assert seen[-1] == alone[:2]
    assert len(seen) > 2
    for partial_answers in seen[:-1]:
        for partial, whole in zip(partial_answers, alone[:2], strict=True):
            assert whole.text.startswith(partial.text)


def test_a_caller_that_goes_away_leaves_its_room_to_others(
    llm: ContinuousLLM, alone: list[Answer]
) -> None:
    async def leave_and_ask() -> list[Answer]:
        for _ in range(2 * CACHE_TOKENS // len(PROMPTS[0])):
            async for _ in llm.answer(PROMPTS[:1]):
                break
        return await last(llm, PROMPTS[3:])

    assert asyncio.run(leave_and_ask()) == alone[3:]


def test_a_prompt_without_room_is_refused_and_names_the_setting(
    llm: ContinuousLLM, alone: list[Answer]
) -> None:
    refused, answer = asyncio.run(last(llm, [prompt(150), PROMPTS[3]]))
    assert "does not fit llm.batch_tokens=2048" in refused.refusal
    assert answer == alone[3]


def test_an_answer_that_reaches_the_maximum_is_marked() -> None:
    model = TransformersLLM("package:llm", "cpu", "float32", max_new_tokens=5)
    continuous = ContinuousLLM(model, CACHE_TOKENS)
    (answer,) = asyncio.run(last(continuous, PROMPTS[3:]))
    continuous.close()
    assert answer.cut_off_at == 5


def test_a_model_that_has_stopped_is_unhealthy_and_refuses_callers() -> None:
    model = TransformersLLM("package:llm", "cpu", "float32", max_new_tokens=5)
    continuous = ContinuousLLM(model, CACHE_TOKENS)
    continuous.check_health()
    continuous.close()
    with pytest.raises(RuntimeError, match="the language model has stopped"):
        continuous.check_health()
    with pytest.raises(EngineError, match="the language model has stopped"):
        asyncio.run(last(continuous, PROMPTS[3:]))


def test_a_model_whose_settings_change_scores_is_refused() -> None:
    model = TransformersLLM("package:llm", "cpu", "float32", max_new_tokens=5)
    model.network.generation_config.repetition_penalty = 1.1
    with pytest.raises(EngineError, match="RepetitionPenaltyLogitsProcessor"):
        ContinuousLLM(model, CACHE_TOKENS)
