"""A detector with the shipped models, and the frames of a stream."""

from __future__ import annotations

import pytest

from exvad.data.world.scene import Scene
from exvad.detector.detector import Detector
from exvad.video.frame_buffer import LiveFrame
from tests.helpers.checkpoints import save_untrained_checkpoint


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector(save_untrained_checkpoint(tmp_path_factory.mktemp("live") / "checkpoint"))


@pytest.fixture(scope="session")
def frames() -> list[LiveFrame]:
    scene = Scene(4, "Robbery", 11, 12)
    return [LiveFrame(scene.render(frame), frame / 10) for frame in range(0, scene.num_frames, 16)]
