"""A detector with the shipped models, and a video for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.data.world.render import render_video
from exvad.data.world.scene import Scene
from exvad.detector.detector import Detector
from tests.helpers.checkpoints import save_untrained_checkpoint


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector(save_untrained_checkpoint(tmp_path_factory.mktemp("detector") / "checkpoint"))


@pytest.fixture(scope="session")
def robbery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "robbery.mp4"
    render_video(Scene(4, "Robbery", 11, 12), path)
    return path
