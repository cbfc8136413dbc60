"""Planning and decoding of chunks, as the tasks of Ray Data run them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from exvad.aegm.chunk_task import ChunkTask
from exvad.config import Config, load_config
from exvad.data.storage.remote import retries
from exvad.pipeline.stages.captioning import caption_requests
from exvad.pipeline.stages.decoding import decode_rows, plan_chunks
from exvad.pipeline.stages.frame_columns import ChunkRow, read_chunks, write_chunk
from exvad.pipeline.stages.outcomes import Outcome, UnfinishedError
from tests.helpers.object_store import Faults, object_store
from tests.helpers.videos import read_indices, write_video

STRIDE, CHUNKS = 16, 3


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(
        "demo", ["data.snippets_per_chunk=2", "captioner.per_video=2", "data.short_side=24"]
    )


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", 5 * STRIDE)


def row(path: Path, captions: dict[str, str] | None = None) -> dict[str, Any]:
    return {"video_id": path.stem, "path": str(path), "captions": json.dumps(captions or {})}


def decode(planned: dict[str, Any], config: Config) -> ChunkRow:
    (chunk,) = read_chunks(decode_rows(pa.Table.from_pylist([planned]), config))
    return chunk


def test_plan_chunks_returns_a_row_per_chunk_that_is_not_done(video: Path, config: Config) -> None:
    tasks = [json.loads(planned["task"]) for planned in plan_chunks(row(video), config, set())]
    assert [ChunkTask.from_row(task).chunk.chunk for task in tasks] == list(range(CHUNKS))
    (left,) = plan_chunks(row(video), config, {("v", 0), ("v", 2), ("other", 1)})
    assert ChunkTask.from_row(json.loads(left["task"])).chunk.chunk == 1


def test_plan_chunks_passes_written_captions_on(video: Path, config: Config) -> None:
    planned = plan_chunks(row(video), config, set())
    snippets = [s for p in planned for s in ChunkTask.from_row(json.loads(p["task"])).captioned]
    captions = {str(snippet): f"caption {snippet}" for snippet in snippets}
    for chunk in plan_chunks(row(video, captions), config, set()):
        task = ChunkTask.from_row(json.loads(chunk["task"]))
        assert task.captions == tuple(f"caption {snippet}" for snippet in task.captioned)


def test_decode_rows_returns_the_first_frame_of_every_snippet(video: Path, config: Config) -> None:
    planned = plan_chunks(row(video), config, set())[1]
    chunk = decode(planned, config)
    assert chunk.task == ChunkTask.from_row(json.loads(planned["task"]))
    assert chunk.decoded is not None
    assert chunk.decoded.frames.shape[0] == 2
    assert read_indices(chunk.decoded.frames) == [2 * STRIDE, 3 * STRIDE]
    assert Outcome.from_json(chunk.outcome) == Outcome("v")


def test_an_unreadable_video_is_a_failure_without_task(tmp_path: Path, config: Config) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    (planned,) = plan_chunks(row(path), config, set())
    outcome = Outcome.from_json(planned["outcome"])
    assert outcome.video_id == "text"
    assert outcome.error
    assert "text.mp4" in outcome.message
    assert decode(planned, config) == ChunkRow(planned["outcome"], None, None)


def test_a_chunk_that_disappears_before_decoding_is_a_failure(
    tmp_path: Path, config: Config
) -> None:
    path = write_video(tmp_path / "gone.mp4", STRIDE)
    (planned,) = plan_chunks(row(path), config, set())
    path.unlink()
    chunk = decode(planned, config)
    assert (chunk.task, chunk.decoded) == (None, None)
    assert "gone.mp4" in Outcome.from_json(chunk.outcome).message


def test_a_video_that_storage_does_not_deliver_is_interrupted(
    video: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_DELAY", 0.01)
    with object_store() as bucket:
        uri = bucket.put("v.mp4", video.read_bytes())
        remote = {**row(video), "path": uri}
        planned = plan_chunks(remote, config, set())
        assert len(planned) == CHUNKS
        bucket.proxy.faults = [Faults("503", 99)]
        (unread,) = plan_chunks(remote, config, set())
        undecoded = decode(planned[0], config)
        assert not unread["task"]
        assert undecoded.task is None
        for outcome in (unread["outcome"], undecoded.outcome):
            assert Outcome.from_json(outcome).is_interruption
        with pytest.raises(UnfinishedError, match=r"v\.mp4: .*run again to continue"):
            list(caption_requests(write_chunk(undecoded), set(), [[1]], {}))
        bucket.proxy.faults.clear()
        assert decode(planned[0], config).task is not None
