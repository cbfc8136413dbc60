"""The actor of the vision stage: chunks to rows of the store, and failures of single videos."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from exvad.aegm.chunk_task import ChunkTask
from exvad.aegm.vision_stage import plan_video
from exvad.config import Config, load_config
from exvad.data.world.render import render_video
from exvad.data.world.scene import Scene
from exvad.pipeline.stages import vision
from exvad.pipeline.stages.decoding import decode_rows
from exvad.pipeline.stages.outcomes import Outcome
from exvad.store.store import Store
from tests.helpers.fakes import FakeEncoder, RefusingCaptioner


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the videos a.mp4 and b.mp4 of the demo world."""
    folder = tmp_path_factory.mktemp("videos")
    render_video(Scene(4, "Robbery", 11, 12), folder / "a.mp4")
    render_video(Scene(5, "Arson", 12, 13), folder / "b.mp4")
    return folder


def decode_tasks(config: Config, tasks: Sequence[ChunkTask]) -> list[pa.Table]:
    planned = [
        {"outcome": Outcome(task.chunk.video_id).to_json(), "task": json.dumps(task.to_row())}
        for task in tasks
    ]
    return [decode_rows(pa.Table.from_pylist([row]), config) for row in planned]


def test_vision_actor_reports_a_video_whose_captions_are_refused(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vision, "load_clip", lambda _: FakeEncoder())
    monkeypatch.setattr(vision, "load_captioner", lambda _: RefusingCaptioner())
    config = load_config("demo")
    _, tasks = plan_video("v", str(videos / "a.mp4"), config)
    store = Store(tmp_path / "store")
    actor = vision.VisionActor(config, store.stage("vision", {"any": 1}))
    (outcome,) = actor(decode_tasks(config, tasks[:1])[0])["outcome"]
    assert json.loads(outcome) == ["v", "CaptionError", "no caption: refused: too violent"]
    assert not list(store.read_stage("vision").keys())


def test_vision_actor_stores_the_same_for_chunks_together_and_alone(
    tmp_path: Path, videos: Path
) -> None:
    config = load_config("demo", ["data.snippets_per_chunk=3", "captioner.per_video=5"])
    plans = [plan_video(name, str(videos / f"{name}.mp4"), config) for name in ("a", "b")]
    tables = decode_tasks(config, [task for _, tasks in plans for task in tasks[:3]])
    missing = tables[0].set_column(1, "task", pa.array([""]))
    contents: list[list[dict[str, Any]]] = []
    for name, batches in (
        ("together", [pa.concat_tables([*tables[:2], missing, *tables[2:]])]),
        ("alone", tables),
    ):
        store = Store(tmp_path / name)
        actor = vision.VisionActor(config, store.stage("vision", {"any": 1}))
        for batch in batches:
            assert actor(batch) == {"outcome": batch["outcome"].to_pylist()}
        rows = store.read_stage("vision").table().to_pylist()
        contents.append(sorted(rows, key=lambda row: (row["video_id"], row["chunk"])))
    together, alone = contents
    assert len(together) == 6
    assert sum(len(row["captions"]) for row in together) > 5
    np.testing.assert_equal(together, alone)
