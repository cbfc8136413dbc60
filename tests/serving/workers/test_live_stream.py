"""The rule of alerts that the options of a stream ask for, and the end of a watch."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from exvad.checkpoints.zero_shot import zero_shot_config
from exvad.detector.detector import Detector
from exvad.inference.calibration import Calibration
from exvad.results.live import LiveAlert
from exvad.serving.schemas.streams import StreamOptions
from exvad.serving.sources.stream_process import StreamProcess
from exvad.serving.workers.live_stream import LiveStream, alert_rule
from exvad.video.frame_buffer import LiveFrame, Notice
from tests.helpers.scene_memory import write_fire_memory


@pytest.mark.parametrize(
    ("options", "on", "off"),
    [
        (StreamOptions(), 0.6, 0.42),
        (StreamOptions(on=0.9), 0.9, 0.63),
        (StreamOptions(on=0.9, off=0.2), 0.9, 0.2),
        (StreamOptions(off=0.8), 0.6, 0.6),
    ],
)
def test_alert_rule_fills_in_what_the_options_leave_open(
    options: StreamOptions, on: float, off: float
) -> None:
    calibration = Calibration(branch="classifier", threshold=0.6)
    checkpoint: Any = SimpleNamespace(calibration=calibration)
    rule = alert_rule(options, checkpoint)
    assert (rule.on, rule.off) == pytest.approx((on, off))


class Camera:
    """A source of frames that then waits for the end of the watch."""

    def follow(self, stopped: threading.Event) -> Iterator[list[LiveFrame] | Notice]:
        """Yield frames, and wait."""
        image = np.zeros((48, 64, 3), np.uint8)
        yield [LiveFrame(image, second, time.time()) for second in range(10)]
        stopped.wait()


def test_a_stream_that_is_stopped_does_not_end_its_alert(tmp_path: Path) -> None:
    write_fire_memory(tmp_path / "memory.json")
    settings = {"zero_shot.memory": str(tmp_path / "memory.json"), "clip.model": "package:clip"}
    options = StreamOptions(on=0, off=0, least_seconds=0)
    stream = LiveStream(Detector(zero_shot_config(settings)), options)
    stopped, camera = threading.Event(), cast("StreamProcess", Camera())
    with ThreadPoolExecutor(1) as explainer:
        events = stream.follow(camera, stopped, explainer)
        began = next(event.record for event in events if isinstance(event.record, LiveAlert))
        assert began.state == "began"
        threading.Timer(0.3, stopped.set).start()
        rest = [event.record for event in events]
    assert {record.state for record in rest if isinstance(record, LiveAlert)} <= {"lasted"}
