"""The language model by transformers, with the packaged demo model."""

from __future__ import annotations

import pytest
import torch

from exvad.encoders.llm import TokenStreamer, TransformersLLM

PROMPTS = ["1: a man walks\nrecord:", "1: a car burns\n2: a car burns\nrecord:"]


@pytest.fixture(scope="module")
def llm() -> TransformersLLM:
    return TransformersLLM("package:llm", "cpu", batch_size=1, max_new_tokens=12)


def test_complete_answers_every_prompt_in_order_and_without_the_prompt(
    llm: TransformersLLM,
) -> None:
    answers = llm.complete(PROMPTS)
    assert answers == [*llm.complete(PROMPTS[:1]), *llm.complete(PROMPTS[1:])]
    assert all(answer and "record:" not in answer for answer in answers)


def test_stream_reports_prefixes_of_the_answers(
    llm: TransformersLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.encoders.llm.STREAM_INTERVAL_SECONDS", 0)
    partial: dict[int, list[str]] = {0: [], 1: []}
    answers = llm.stream(PROMPTS, lambda index, text: partial[index].append(text))
    assert answers == llm.complete(PROMPTS)
    for index, answer in enumerate(answers):
        assert len(partial[index]) > 1
        assert all(answer.startswith(text) for text in partial[index])


class LetterTokenizer:
    def batch_decode(self, answers: list[list[int]], skip_special_tokens: bool) -> list[str]:
        assert skip_special_tokens
        return ["".join(map(chr, answer)) for answer in answers]


def test_token_streamer_skips_the_prompts_and_reports_the_given_indices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("exvad.encoders.llm.STREAM_INTERVAL_SECONDS", 0)
    reports: list[tuple[int, str]] = []
    streamer = TokenStreamer(LetterTokenizer(), [7, 3], lambda *report: reports.append(report))
    streamer.put(torch.tensor([[1, 2], [1, 2]]))
    streamer.put(torch.tensor([ord("a"), ord("x")]))
    streamer.put(torch.tensor([ord("b"), ord("y")]))
    streamer.end()
    assert reports == [(7, "a"), (3, "x"), (7, "ab"), (3, "xy")]
