"""Speed of the frozen models with the presets' batches; the figures go into runs/gpu.json.

N frames · H, W pixels
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from exvad.aegm.chunk_task import ChunkTask
from exvad.aegm.vision_stage import VisionStage
from exvad.encoders.answers import CaptionError
from exvad.encoders.captioners.transformers_captioner import TransformersCaptioner
from exvad.encoders.clip import ClipEncoder
from exvad.encoders.llm import TransformersLLM
from exvad.video.chunks import Chunk
from exvad.video.decoding import DecodedChunk
from tests.helpers.gpu.lane import Lane
from tests.helpers.gpu.measure import covered, profiled, seconds
from tests.helpers.gpu.models import Models
from tests.helpers.gpu.parity import FRAME_SIZES, smooth_frames
from tests.helpers.gpu.record import Record
from tests.helpers.gpu.work import make_prompt

CLIP_BATCH, LLM_BATCH = 256, 32  # of the presets for the paper's data sets
CAPTIONED = 4  # frames of a chunk: 32 of a video of eight chunks


def test_clip_frames_per_second(lane: Lane, models: Models, record: Record) -> None:
    name = f"local-dir:{models.folder('clip')}"
    encoder = ClipEncoder(name, device=lane.device, batch_size=CLIP_BATCH)
    frames = np.resize(smooth_frames(8, FRAME_SIZES[0]), (lane.frames, 240, 320, 3))
    taken = seconds(partial(encoder.encode_images, frames), lane.device)
    record.add("clip_frames_per_second", lane.frames / taken)
    load = profiled(partial(encoder.encode_images, frames), lane.device)
    record.add("clip_gpu_busy_share", load.busy_share)
    texts = ["a person walks down a street at night"] * lane.frames
    record.add(
        "clip_texts_per_second",
        lane.frames / seconds(partial(encoder.encode_texts, texts), lane.device),
    )
    assert record.figures["clip_frames_per_second"]


def test_captions_per_second(lane: Lane, models: Models, record: Record) -> None:
    captioner = TransformersCaptioner(
        models.folder("blip2"),
        device=lane.device,
        batch_size=max(lane.caption_batches),
        max_new_tokens=lane.caption_tokens,
    )
    rates = []
    for batch in lane.caption_batches:
        frames = np.resize(smooth_frames(8, FRAME_SIZES[0]), (batch, 240, 320, 3))
        taken = seconds(partial(captioner.caption, frames), lane.device, repeats=1)
        rates.append(batch / taken)
        record.add(f"captions_per_second_{batch}", rates[-1])
    if lane.is_full:
        assert rates[-1] > 4 * rates[0], "a batch is worth it"


def test_answer_tokens_per_second(lane: Lane, models: Models, record: Record) -> None:
    llm = TransformersLLM(
        models.folder("llama"),
        device=lane.device,
        batch_size=LLM_BATCH,
        max_new_tokens=lane.answer_tokens,
        batch_tokens=LLM_BATCH * (lane.prompt_tokens + lane.answer_tokens + 64),
    )
    prompts = [make_prompt(llm.tokenizer, lane.prompt_tokens, number) for number in
               range(lane.prompts)]  # fmt: skip
    answers = llm.complete(prompts)
    assert all(answer.cut_off_at == lane.answer_tokens for answer in answers), "all are as long"
    taken = seconds(partial(llm.complete, prompts), lane.device, repeats=1)
    record.add("explanations_per_second", lane.prompts / taken)
    record.add("answer_tokens_per_second", lane.prompts * lane.answer_tokens / taken)
    one = seconds(partial(llm.complete, prompts[:1]), lane.device, repeats=1)
    record.add("answer_tokens_per_second_alone", lane.answer_tokens / one)


def test_host_time_of_a_chunk(lane: Lane, models: Models, record: Record) -> None:
    encoder = ClipEncoder(
        f"local-dir:{models.folder('clip')}", device=lane.device, batch_size=CLIP_BATCH
    )
    captioner = TransformersCaptioner(
        models.folder("blip2"), device=lane.device, max_new_tokens=lane.caption_tokens
    )
    stage = VisionStage(encoder, captioner)
    task, decoded = make_chunk(lane.chunk_snippets)
    (rows,) = stage.encode_chunks([(task, decoded)])
    assert not isinstance(rows, CaptionError)
    (row,) = rows
    assert row["visual"].shape == (lane.chunk_snippets, encoder.width)
    assert len(row["captions"]) == CAPTIONED
    load = profiled(partial(stage.encode_chunks, [(task, decoded)]), lane.device)
    if not load.kernels:
        record.skip("vision_host_ms_per_chunk", "the profiler sees no kernels on this machine")
        pytest.skip("the profiler sees no kernels on this machine")
    record.add("vision_chunk_ms", 1000 * load.wall_seconds)
    record.add("vision_host_ms_per_chunk", 1000 * load.host_seconds)
    record.add("vision_gpu_busy_share", load.busy_share)
    assert 0 < load.busy_seconds <= load.wall_seconds * 1.05


def make_chunk(snippets: int) -> tuple[ChunkTask, DecodedChunk]:
    """Return a chunk of frames of UCF-Crime's size, some of them to caption."""
    frames_NHWC = np.resize(smooth_frames(6, FRAME_SIZES[0]), (snippets, 240, 320, 3))
    times = tuple(0.5 * snippet for snippet in range(snippets))
    chunk = Chunk("v", "v.mp4", 0, 0, 0, 16, times, ())
    task = ChunkTask(chunk, 1, 16 * snippets, 30.0, tuple(range(CAPTIONED)))
    return task, DecodedChunk(frames_NHWC, np.asarray(times), [])


def test_covered_counts_overlapping_intervals_once() -> None:
    assert covered([]) == 0
    assert covered([(4, 6), (0, 2), (1, 3), (1, 2)]) == 5
