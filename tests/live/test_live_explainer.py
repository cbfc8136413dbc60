"""The live explainer explains recent frames, one request after the other."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from exvad.checkpoints.zero_shot import ZeroShotModel
from exvad.config import override_config
from exvad.detector.detector import Detector
from exvad.live.alerts import Alert
from exvad.live.live_explainer import (
    GroundedWindow,
    LiveExplainer,
    RecentFrame,
    WindowExplanation,
)
from exvad.live.settings import LiveSettings
from exvad.video.frame_buffer import LiveFrame
from tests.helpers.executors import ManualExecutor
from tests.helpers.explanations import explanation_json
from tests.helpers.fakes import FakeCaptioner, FrozenModels, ScriptedLLM

FIRE = Alert(1, start=9.0, end=10.0, label="Arson", peak=0.9, peak_time=9.5)
FIGHT = Alert(2, start=12.0, end=13.0, label="Fighting", peak=0.8, peak_time=12.5)


class RecordingCaptioner(FakeCaptioner):
    """Keeps the frames that it captions."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[NDArray[np.uint8]] = []

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        self.frames.append(frames)
        return super().caption(frames)


@pytest.fixture
def recent(detector: Detector, frames: list[LiveFrame]) -> list[RecentFrame]:
    images = np.stack([frame.frame for frame in frames])
    features = detector.models.clip.encode_images(images).astype(np.float16)
    return [
        RecentFrame(frame.frame, visual_D, float(index))
        for index, (frame, visual_D) in enumerate(zip(frames, features, strict=True))
    ]


def make_explainer(
    detector: Detector, frames: list[RecentFrame], executor: Executor | None = None, **settings: Any
) -> LiveExplainer:
    live_settings = LiveSettings(**{"captions": 100, **settings})
    explainer = LiveExplainer(detector.checkpoint, detector.models, live_settings, executor)
    for frame in frames:
        explainer.add_frame(frame)
    return explainer


def test_explanation_of_an_alert_uses_frames_from_three_seconds_before_it(
    detector: Detector, recent: list[RecentFrame]
) -> None:
    explainer = make_explainer(detector, recent)
    explainer.request(FIRE, FIRE.end)
    result = explainer.collect()
    assert isinstance(result, WindowExplanation)
    assert result.alert == FIRE
    assert len(result.captions) == sum(frame.time >= FIRE.start - 3 for frame in recent) == 5
    assert explainer.text_D is not None
    assert not explainer.busy
    assert explainer.collect() is None


@pytest.mark.parametrize("at_once", [True, False])
def test_explanation_of_an_ended_alert_uses_no_later_frames(
    detector: Detector, recent: list[RecentFrame], at_once: bool
) -> None:
    ended = replace(FIRE, start=3.0, end=5.0)
    executor = ManualExecutor()
    explainer = make_explainer(detector, recent, executor)
    if not at_once:  # it waits for the explanation of the stream
        explainer.request(None, 4.0)
    explainer.request(ended, 9.0, ended=True)
    result = None
    while explainer.busy:
        executor.run()
        result = explainer.collect()
    assert isinstance(result, WindowExplanation)
    assert result.alert == ended
    assert len(result.captions) == sum(frame.time <= ended.end + 3 for frame in recent) == 9


def test_a_window_has_one_explanation_whatever_the_segments_of_videos(
    detector: Detector, recent: list[RecentFrame]
) -> None:
    llm = ScriptedLLM([explanation_json()])
    models = FrozenModels(detector.models.clip, detector.models.captioner, llm)
    checkpoint = detector.checkpoint
    config = override_config(checkpoint.config, {"llm.segment_captions": 2})
    settings = LiveSettings(captions=100)
    explainer = LiveExplainer(replace(checkpoint, config=config), models, settings)
    for frame in recent:
        explainer.add_frame(frame)
    explainer.request(None, 0.0)
    assert isinstance(explainer.collect(), WindowExplanation)
    assert len(llm.prompts[0]) == 1


def test_an_explanation_has_as_many_captions_as_that_of_a_file(
    detector: Detector, recent: list[RecentFrame]
) -> None:
    checkpoint = detector.checkpoint
    config = override_config(checkpoint.config, {"captioner.per_video": 3})
    checkpoint = replace(checkpoint, config=config)
    captioner = RecordingCaptioner()
    models = FrozenModels(detector.models.clip, captioner, detector.models.llm)
    explainer = LiveExplainer(checkpoint, models, LiveSettings(window=9))
    for frame in recent[:10]:
        explainer.add_frame(frame)
    explainer.request(None, 9.0)
    middle_of_each_third = np.stack([recent[index].frame for index in (2, 5, 8)])
    (captioned,) = captioner.frames
    np.testing.assert_array_equal(captioned, middle_of_each_third)


def test_request_during_an_explanation_is_explained_next(
    detector: Detector, recent: list[RecentFrame]
) -> None:
    executor = ManualExecutor()
    explainer = make_explainer(detector, recent, executor)
    explainer.request(FIRE, FIRE.end)
    explainer.request(FIGHT, FIGHT.end)
    assert explainer.collect() is None
    for alert in (FIRE, FIGHT):
        assert explainer.busy
        executor.run()
        result = explainer.collect()
        assert isinstance(result, WindowExplanation)
        assert result.alert == alert
    assert not explainer.busy


def test_request_if_due_waits_for_the_interval(
    detector: Detector, recent: list[RecentFrame]
) -> None:
    explainer = make_explainer(detector, recent, explain_seconds=30)
    explainer.request_if_due(0)
    assert explainer.collect() is not None
    explainer.request_if_due(29)
    assert explainer.collect() is None
    explainer.request_if_due(30)
    assert explainer.collect() is not None


def test_request_does_nothing_if_explaining_is_switched_off(
    detector: Detector, recent: list[RecentFrame]
) -> None:
    explainer = make_explainer(detector, recent, explain=False)
    explainer.request(FIRE, FIRE.end)
    assert not explainer.busy


def test_grounded_text_stands_at_the_times_of_its_captions() -> None:
    window = GroundedWindow(
        np.array([10.0, 12.0, 14.0]), np.ones((3, 4), np.float16), np.eye(3, 4, dtype=np.float32)
    )
    text_WD = window.spread(np.ones((4, 4), np.float32), np.array([5.0, 10.0, 14.0, 90.0]))
    assert text_WD.shape == (4, 4)
    np.testing.assert_allclose(text_WD.sum(1), 1, atol=1e-5)
    assert text_WD.argmax(1).tolist() == [0, 0, 2, 2]
    alone = GroundedWindow(np.array([3.0]), np.ones((1, 4), np.float16), np.ones((1, 4)))
    np.testing.assert_allclose(alone.spread(np.ones((2, 4), np.float32), np.arange(2.0)), 1)


def test_detection_without_training_explains_alerts_only(detector: Detector) -> None:
    checkpoint = detector.checkpoint
    config = override_config(checkpoint.config, {"zero_shot.explain": True})
    model = ZeroShotModel.build(config, detector.models.clip)
    explainer = LiveExplainer(model, detector.models, LiveSettings())
    explainer.request_if_due(0.0)
    assert not explainer.busy


def test_an_explanation_that_nobody_has_read_yet_is_not_replaced(
    detector: Detector, recent: list[RecentFrame]
) -> None:
    explainer = make_explainer(detector, recent)
    explainer.request(FIRE, FIRE.end)
    explainer.request(FIGHT, FIGHT.end)
    results = [explainer.collect(), explainer.collect()]
    alerts = [result.alert for result in results if isinstance(result, WindowExplanation)]
    assert alerts == [FIRE, FIGHT]
