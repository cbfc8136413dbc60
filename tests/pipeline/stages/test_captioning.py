"""Captioning with vLLM: the requests to its engines, and what is stored of their answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from exvad.aegm.chunk_task import ChunkTask
from exvad.encoders.engine import sampling_parameters
from exvad.pipeline.stages.captioning import StoreCaptions, caption_requests
from exvad.pipeline.stages.frame_columns import ChunkRow, write_chunk
from exvad.pipeline.stages.outcomes import Outcome
from exvad.pipeline.stages.vllm_engine import ERROR_COLUMN
from exvad.video.chunks import Chunk
from exvad.video.decoding import DecodedChunk

FRAMES = np.arange(5 * 4 * 6 * 3, dtype=np.uint8).reshape(5, 4, 6, 3)
PROMPTS = [[1, 7], [1, 7, 7]]
TASK = ChunkTask(Chunk("v", "v.mp4", 0, 0, 0, 16, (0.0,) * 5, ()), 1, 80, 30.0, (0, 2, 4))


class RecordingStage:
    """A stage of the store that keeps its rows."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def append(self, rows: list[dict[str, Any]]) -> None:
        self.rows += rows


def test_caption_requests_have_token_ids_and_the_frames_of_each_clip() -> None:
    chunks = write_chunk(
        ChunkRow(Outcome("v").to_json(), TASK, DecodedChunk(FRAMES, np.zeros(5), []))
    )
    batches = list(caption_requests(chunks, {("v", 2)}, PROMPTS, sampling_parameters(9)))
    requests = [{name: value for name, (value,) in batch.items()} for batch in batches]
    assert [request["snippet"] for request in requests] == [0, 4]
    assert [request["video_id"] for request in requests] == ["v", "v"]
    for request, frames in zip(requests, (FRAMES[:2], FRAMES[3:]), strict=True):
        assert request["tokenized_prompt"] == PROMPTS[1]
        assert request["sampling_params"]["max_tokens"] == 9
        images = request["multimodal_data"]["image"]
        np.testing.assert_array_equal([np.asarray(image) for image in images], frames)
    undecoded = ChunkRow(Outcome.failure("v", ValueError("gone")).to_json())
    assert not list(caption_requests(write_chunk(undecoded), set(), PROMPTS, {}))


def test_store_captions_stores_no_empty_caption() -> None:
    stage: Any = RecordingStage()
    batch = {
        "video_id": ["a", "b", "c", "d"],
        "snippet": [0, 1, 2, 3],
        "generated_text": ["smoke?</think> a fire ", " ", "", "The user"],
        ERROR_COLUMN: ["", "", "too long", ""],
    }
    outcomes = StoreCaptions(stage, "m", "<think>")(batch)["outcome"]
    assert [row["caption"] for row in stage.rows] == ["a fire"]
    read = [Outcome.from_json(outcome) for outcome in outcomes]
    errors = [outcome.error for outcome in read]
    assert errors == ["", "CaptionError", "EngineError", "CaptionError"]
    assert "m wrote no caption for snippet 1 of b" in read[1].message
