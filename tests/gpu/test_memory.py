"""Memory beside what exvad/encoders/memory_needs.py computes, and again on a card of 24 GB.

A card of that size has about 22 GiB that torch can use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from exvad.encoders.captioners.transformers_captioner import TransformersCaptioner
from exvad.encoders.clip import ClipEncoder
from exvad.encoders.llm import TransformersLLM
from exvad.encoders.memory_needs import local_config, transformers_memory
from tests.helpers.gpu.configurations import blip2_config, llama_config
from tests.helpers.gpu.lane import Lane
from tests.helpers.gpu.measure import GIB, memory_limited, peak_gib, reset_peak
from tests.helpers.gpu.models import FULL_GIB, SHALLOW, Models
from tests.helpers.gpu.parity import FRAME_SIZES, smooth_frames
from tests.helpers.gpu.record import Record
from tests.helpers.gpu.work import make_prompt

SMALL_CARD_GIB = 22.0
LONG_PROMPT = {"full": 1480, "miniature": 60}  # tokens: 32 captions of 40, and the instruction
CAPTION_BATCH = {"full": 32, "miniature": 3}
LIMITS = pytest.mark.parametrize("limit", [None, SMALL_CARD_GIB], ids=["whole", "22-gib"])


def measured(
    lane: Lane, record: Record, name: str, limit: float | None, work: Callable[[], Any]
) -> float:
    """Do the work, below a limit if there is one; record and return the peak of the memory."""
    reset_peak(lane.device)
    with memory_limited(lane.device, limit or float("inf")):
        work()
    peak = peak_gib(lane.device)
    if lane.is_full:
        record.add(f"{name}_peak_gib{'' if limit is None else '_of_22'}", peak)
    assert limit is None or peak <= limit
    return peak


@LIMITS
def test_language_model_explains_a_batch(
    lane: Lane, models: Models, record: Record, limit: float | None
) -> None:
    folder = models.folder("llama")

    def work() -> None:
        llm = TransformersLLM(folder, lane.device, batch_size=32, max_new_tokens=lane.answer_tokens)
        length = LONG_PROMPT[lane.size]
        prompts = [make_prompt(llm.tokenizer, length, number) for number in range(lane.prompts)]
        assert len(llm.complete(prompts)) == lane.prompts

    peak = measured(lane, record, "llama", limit, work)
    weights = transformers_memory(local_config(folder), "llm").weights / GIB
    if lane.is_full:
        assert weights <= peak <= SMALL_CARD_GIB, "llm.batch_tokens fits a card of 24 GB"


def test_language_model_halves_a_batch_that_is_too_large(
    lane: Lane, models: Models, record: Record
) -> None:
    folder = models.folder("llama")

    def work() -> None:
        llm = TransformersLLM(
            folder, lane.device, batch_size=64, max_new_tokens=8, batch_tokens=10**9
        )
        length = LONG_PROMPT[lane.size]
        prompts = [make_prompt(llm.tokenizer, length, number) for number in range(2 * lane.prompts)]
        answers = llm.complete(prompts)
        assert [bool(answer.text) for answer in answers] == [True] * len(prompts)

    measured(lane, record, "llama_too_large", SMALL_CARD_GIB, work)


@LIMITS
def test_vision_models_fit_together(
    lane: Lane, models: Models, record: Record, limit: float | None
) -> None:
    clip, blip2 = models.folder("clip"), models.folder("blip2")
    frames = np.resize(smooth_frames(8, FRAME_SIZES[0]), (lane.frames, 240, 320, 3))
    batch = CAPTION_BATCH[lane.size]

    def work() -> None:
        encoder = ClipEncoder(f"local-dir:{clip}", device=lane.device, batch_size=256)
        captioner = TransformersCaptioner(
            blip2, device=lane.device, batch_size=batch, max_new_tokens=lane.caption_tokens
        )
        assert len(encoder.encode_images(frames)) == lane.frames
        assert len(captioner.caption(frames[:batch])) == batch

    peak = measured(lane, record, "vision", limit, work)
    weights = transformers_memory(local_config(blip2), "captioner", "float16").weights / GIB
    if lane.is_full:
        assert peak >= weights


def test_computed_weights_equal_the_loaded_ones(lane: Lane, models: Models, record: Record) -> None:
    loaders: dict[str, tuple[str, Callable[[str], Any]]] = {
        "llm": ("llama", partial(TransformersLLM, device=lane.device)),
        "captioner": ("blip2", partial(TransformersCaptioner, device=lane.device)),
    }
    for kind, (name, load) in loaders.items():
        folder = models.folder(name)
        loaded = load(folder)
        size = sum(parameter.nbytes for parameter in loaded.network.parameters())
        dtype = str(loaded.network.config.dtype).removeprefix("torch.")
        computed = transformers_memory(local_config(folder), kind, dtype).weights  # type: ignore[arg-type]
        if lane.is_full:
            record.add(f"{name}_weights_gib", size / GIB)
        assert computed == pytest.approx(size, rel=0.01)
        del loaded


def test_room_that_the_lane_checks_for_is_that_of_the_models() -> None:
    sizes = {
        "llama": transformers_memory(llama_config("full"), "llm"),
        "blip2": transformers_memory(blip2_config("full"), "captioner", "float16"),
        "llama-shallow": transformers_memory(llama_config("full", SHALLOW), "llm"),
        "blip2-shallow": transformers_memory(blip2_config("full", SHALLOW), "captioner", "float16"),
    }
    for name, memory in sizes.items():
        assert memory.weights / GIB == pytest.approx(FULL_GIB[name], rel=0.15), name
