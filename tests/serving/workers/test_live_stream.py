"""The rule of alerts that the options of a stream ask for, and the end of a watch."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import pytest

from exvad.checkpoints.zero_shot import zero_shot_config
from exvad.detector.detector import Detector
from exvad.encoders.answers import Answer
from exvad.encoders.loading import load_clip
from exvad.inference.calibration import Calibration
from exvad.results.live import LiveAlert, LiveNotice, LiveScores
from exvad.serving.schemas.streams import StreamOptions
from exvad.serving.sources.stream_process import StreamProcess
from exvad.serving.workers.live_stream import LiveStream, StreamEvent, alert_rule
from exvad.video.frame_buffer import LiveFrame, Notice
from tests.helpers.fakes import FakeCaptioner
from tests.helpers.scene_memory import write_fire_memory

if TYPE_CHECKING:
    from exvad.encoders.protocols import ImageTextEncoder


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
    """A source of frames that then waits for the end of the watch.

    Args:
        then: what it yields after its frames.
    """

    def __init__(self, *then: list[LiveFrame] | Notice) -> None:
        self.then = then

    def follow(self, stopped: threading.Event) -> Iterator[list[LiveFrame] | Notice]:
        """Yield frames, and wait; an empty list says that there are none."""
        image = np.zeros((48, 64, 3), np.uint8)
        now = time.time()
        yield [LiveFrame(image, second, now + second) for second in range(10)]
        yield from self.then
        while not stopped.wait(0.05):
            yield []


@dataclass
class Looking:
    """Frozen models with a language model that answers once it may.

    Args:
        anomalous: what it says.
    """

    clip: ImageTextEncoder
    anomalous: bool
    captioner: FakeCaptioner = field(default_factory=FakeCaptioner)
    may_answer: threading.Event = field(default_factory=threading.Event)

    @property
    def llm(self) -> Looking:
        """The language model."""
        return self

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        """Wait, and say whether something happens."""
        assert self.may_answer.wait(60)
        text = json.dumps(
            {
                "anomalous": self.anomalous,
                "category": "Fire" if self.anomalous else "Normal",
                "summary": "Smoke rises.",
                "reason": "It is a fire." if self.anomalous else "It is a grill.",
                "evidence": [1],
            }
        )
        return [Answer(text) for _ in prompts]


class Watch(NamedTuple):
    """A stream that is watched with a second look.

    Args:
        events: those of the stream.
        stopped: ends the watch.
    """

    events: Iterator[StreamEvent]
    stopped: threading.Event


@pytest.fixture
def verifying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watch]]:
    """Return a function that watches a camera with a second look that may have to wait."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    write_fire_memory(tmp_path / "memory.json")
    settings = {
        "zero_shot.memory": str(tmp_path / "memory.json"),
        "zero_shot.verify": True,
        "clip.model": "package:clip",
        "llm.attempts": 1,
    }
    options = StreamOptions(on=0, off=0, least_seconds=0)
    stopped = threading.Event()
    waiting: list[Looking] = []
    with ThreadPoolExecutor(1) as explainer:

        def watch(
            *then: list[LiveFrame] | Notice, anomalous: bool | None = None, seconds: float = 600
        ) -> Watch:
            config = zero_shot_config(settings | {"zero_shot.verify_seconds": seconds})
            models = Looking(load_clip(config), anomalous=anomalous is not False)
            if anomalous is None:
                waiting.append(models)
            else:
                models.may_answer.set()
            stream = LiveStream(Detector(config, models=models), options)
            camera = cast("StreamProcess", Camera(*then))
            return Watch(stream.follow(camera, stopped, explainer), stopped)

        yield watch
        stopped.set()
        for models in waiting:
            models.may_answer.set()


def alerts_of(events: Iterable[StreamEvent]) -> list[str]:
    """Return the states of alerts among the records of events."""
    return [event.record.state for event in events if isinstance(event.record, LiveAlert)]


def test_a_held_alert_rings_when_the_watch_is_stopped(verifying: Callable[..., Watch]) -> None:
    watch = verifying()
    threading.Timer(1, watch.stopped.set).start()
    assert alerts_of(watch.events)[:1] == ["began"]


def test_a_held_alert_rings_when_its_source_is_lost(verifying: Callable[..., Watch]) -> None:
    watch = verifying(Notice("lost", "the camera is off"))
    before = takewhile(lambda event: not isinstance(event.record, LiveNotice), watch.events)
    assert alerts_of(before)[:1] == ["began"]


def test_a_held_alert_rings_in_time_while_no_frames_come(
    verifying: Callable[..., Watch],
) -> None:
    watch = verifying(seconds=0.01)
    assert alerts_of([next(watch.events) for _ in range(2)]) == ["began"]


def test_frames_of_a_rejected_alert_are_dropped(verifying: Callable[..., Watch]) -> None:
    watch = verifying(anomalous=False)
    scores = next(watch.events)
    assert isinstance(scores.record, LiveScores)
    assert scores.peak_frames == {}  # it is not known yet whether the alert rings
    rejected = next(watch.events)
    assert isinstance(rejected.record, LiveNotice)
    assert (rejected.record.kind, rejected.record.alert) == ("rejected", 1)
    assert rejected.peak_frames == {}


def test_events_say_when_their_frames_arrived_however_late_they_come(
    verifying: Callable[..., Watch],
) -> None:
    now = time.time()
    watch = verifying(seconds=0.5)
    scores, began = next(watch.events), next(watch.events)
    assert scores.happened_at is not None
    assert began.happened_at is not None
    assert abs(scores.happened_at - now - 9) < 2
    assert isinstance(began.record, LiveAlert)
    assert began.happened_at - scores.happened_at == pytest.approx(began.record.start - 9, abs=0.1)


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
