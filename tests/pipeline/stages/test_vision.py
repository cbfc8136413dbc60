"""A chunk that the captioner refuses is a failure of its video, not an empty caption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exvad.aegm.vision_stage import plan_video
from exvad.config import load_config
from exvad.data.world.render import render_video
from exvad.data.world.scene import Scene
from exvad.pipeline.stages import vision
from exvad.pipeline.stages.decoding import decode_row
from exvad.pipeline.stages.outcomes import Outcome
from exvad.store.store import Store
from tests.helpers.fakes import FakeEncoder, RefusingCaptioner


def test_vision_actor_reports_a_video_whose_captions_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vision, "load_clip", lambda _: FakeEncoder())
    monkeypatch.setattr(vision, "load_captioner", lambda _: RefusingCaptioner())
    config = load_config("demo")
    render_video(Scene(4, "Robbery", 11, 12), tmp_path / "v.mp4")
    _, tasks = plan_video("v", str(tmp_path / "v.mp4"), config)
    planned = {"outcome": Outcome("v").to_json(), "task": json.dumps(tasks[0].to_row())}
    row = decode_row(planned, config.data.short_side)
    batch: dict[str, Any] = {name: np.array([row[name]], object) for name in ("outcome", "task")}
    batch |= {name: [row[name]] for name in ("frames", "shape")}
    store = Store(tmp_path / "store")
    actor = vision.VisionActor(config, store.stage("vision", {"any": 1}))
    (outcome,) = actor(batch)["outcome"]
    assert json.loads(outcome) == ["v", "CaptionError", "no caption: refused: too violent"]
    assert not list(store.read_stage("vision").keys())
