"""The language model by transformers, with the packaged demo model."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from exvad.encoders.answers import without_thoughts
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
    assert all(answer.text and "record:" not in answer.text for answer in answers)


def test_stream_reports_prefixes_of_the_answers(
    llm: TransformersLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.encoders.llm.STREAM_INTERVAL_SECONDS", 0)
    partial: dict[int, list[str]] = {0: [], 1: []}
    answers = llm.stream(PROMPTS, lambda index, text: partial[index].append(text))
    assert answers == llm.complete(PROMPTS)
    for index, answer in enumerate(answers):
        assert len(partial[index]) > 1
        assert all(answer.text.startswith(text) for text in partial[index])


class SmallGPU:
    """A network on a GPU whose memory holds only few tokens; it computes on the CPU.

    Args:
        network: the network.
        max_tokens: the largest batch, in tokens of the prompts with their padding.
    """

    def __init__(self, network: Any, max_tokens: int) -> None:
        self.network, self.max_tokens = network, max_tokens
        self.generation_config = network.generation_config
        self.batches: list[tuple[int, int]] = []

    def generate(self, input_ids: torch.Tensor, **options: Any) -> Any:
        self.batches.append((input_ids.shape[0], input_ids.shape[1]))
        if input_ids.numel() > self.max_tokens:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.network.generate(input_ids=input_ids, **options)


def test_complete_marks_the_answers_that_were_cut_off(
    llm: TransformersLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [answer.cut_off_at for answer in llm.complete(PROMPTS)] == [12, 12]
    monkeypatch.setattr(llm, "max_new_tokens", 300)
    monkeypatch.setattr(llm, "batch_size", 2)
    whole = llm.complete(PROMPTS)
    assert [answer.cut_off_at for answer in whole] == [0, 0]
    assert all(answer.text.endswith("}") for answer in whole)


def test_stream_begins_with_the_thoughts_that_the_chat_template_opened(
    llm: TransformersLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.encoders.llm.STREAM_INTERVAL_SECONDS", 0)
    template = "{{ messages[0]['content'] }}<think>"
    monkeypatch.setattr(llm.tokenizer, "chat_template", template, raising=False)
    partial: list[str] = []
    (answer,) = llm.stream(PROMPTS[:1], lambda _, text: partial.append(text))
    assert all(text.startswith("<think>") for text in [*partial, answer.text])
    assert without_thoughts(answer.text) == ""


@pytest.fixture
def wide_llm(llm: TransformersLLM, monkeypatch: pytest.MonkeyPatch) -> TransformersLLM:
    """The language model with large batches."""
    monkeypatch.setattr(llm, "batch_size", 64)
    return llm


def test_complete_halves_a_batch_that_does_not_fit_and_goes_on(
    wide_llm: TransformersLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [f"{number}: a man walks\nrecord:" for number in range(7)]
    expected = wide_llm.complete(prompts)
    gpu = SmallGPU(wide_llm.network, max_tokens=2 * len(wide_llm.tokenizer(prompts[0]).input_ids))
    monkeypatch.setattr(wide_llm, "network", gpu)
    streamed: list[int] = []
    monkeypatch.setattr("exvad.encoders.llm.STREAM_INTERVAL_SECONDS", 0)
    assert wide_llm.stream(prompts, lambda index, _: streamed.append(index)) == expected
    assert [size for size, _ in gpu.batches] == [7, 3, 1, 2, 4, 2, 2]
    assert set(streamed) == set(range(7))


def test_complete_bounds_the_tokens_of_a_batch_on_a_gpu_only(
    wide_llm: TransformersLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wide_llm.batch_tokens is None, "the model is on a CPU"
    prompts = ["1: a man walks\nrecord:"] * 6 + ["1: a car burns in a park\n" * 9 + "record:"]
    gpu = SmallGPU(wide_llm.network, max_tokens=10**9)
    monkeypatch.setattr(wide_llm, "network", gpu)
    wide_llm.complete(prompts)
    assert [size for size, _ in gpu.batches] == [7]
    gpu.batches.clear()
    short = len(wide_llm.tokenizer(prompts[0]).input_ids) + wide_llm.max_new_tokens
    monkeypatch.setattr(wide_llm, "batch_tokens", 3 * short)
    answers = wide_llm.complete(prompts)
    assert [size for size, _ in gpu.batches] == [3, 3, 1]
    assert answers == [answer for prompt in prompts for answer in wide_llm.complete([prompt])]
    assert wide_llm.complete([]) == []


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
