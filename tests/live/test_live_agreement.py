"""A stream and the analysis of a file answer alike about the same frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from exvad.checkpoints.checkpoint import Checkpoint
from exvad.inference.network import build_network
from exvad.laam.phrases import LabelPhrases
from exvad.live.alerts import AlertRule
from exvad.live.live_detector import LiveDetector
from exvad.live.settings import LiveSettings
from exvad.results import Analysis, LiveAlert
from exvad.store.examples import Example
from exvad.store.feature_bank import VideoFeatures
from exvad.training.data import TrainingData
from exvad.training.fitting import fit
from exvad.video.frame_buffer import LiveFrame
from tests.helpers.fakes import FakeCaptioner, FrozenModels, ScriptedLLM
from tests.helpers.planted import CLASSES, WIDTH, config, directions

if TYPE_CHECKING:
    from numpy.typing import NDArray

SNIPPETS = 40
EVENT = 10  # snippets
STEP = 0.64  # seconds of a snippet


def plant(number: int) -> Example:
    """Return a video; all but every fifth have an event with its direction, weak at its ends."""
    rng = np.random.default_rng(number)
    label = number % len(CLASSES)
    visual_TD = rng.normal(size=(SNIPPETS, WIDTH)).astype(np.float32) + directions()[0]
    start = int(rng.integers(6, SNIPPETS - EVENT - 6))
    strength_E = np.array([2, 2.5, 3, *[4] * (EVENT - 6), 3, 2.5, 2], np.float32)
    if label:
        visual_TD[start : start + EVENT] += strength_E[:, None] * directions()[label]
    target_C = np.zeros(len(CLASSES), np.float32)
    target_C[label] = 1
    return Example(f"v{number}", visual_TD, None, target_C)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    train, select = [plant(number) for number in range(80)], [plant(n) for n in range(150, 180)]
    settings = config("train.epochs=8", "train.divisor=4", "model.window=4")
    torch.manual_seed(0)
    network = build_network(settings, WIDTH, len(CLASSES))
    label_CD = torch.from_numpy(directions())
    state = fit(network, label_CD, TrainingData(train, select), settings)
    network.load_state_dict(state.best_weights)
    labels = LabelPhrases(phrases={label: ["a"] * 4 for label in CLASSES}, origin="test")
    provenance = {"version": "0", "weights": "0" * 8}
    return Checkpoint(network, label_CD, labels, settings, state.calibration, {}, provenance)


@dataclass
class PlantedEncoder:
    """An image encoder that returns the planted feature whose number a frame shows."""

    visual_TD: NDArray[np.float32]
    width: int = WIDTH

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode frames whose first pixel is the number of a snippet."""
        return self.visual_TD[frames[:, 0, 0, 0]]

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode no texts."""
        raise AssertionError(texts)


def analyze_file(checkpoint: Checkpoint, visual_TD: NDArray[np.float32]) -> Analysis:
    times_T = np.arange(SNIPPETS) * STEP
    features = VideoFeatures(
        "v", visual_TD.astype(np.float16), times_T, None, [], [], [], "", None, SNIPPETS * 16, 25.0
    )
    return checkpoint.analyze(features, "v.mp4")


def watch_stream(checkpoint: Checkpoint, visual_TD: NDArray[np.float32]) -> list[LiveAlert]:
    """Return the last state of each alert of a stream, whose snippets come one by one."""
    on = checkpoint.calibration.even_odds_score()
    models = FrozenModels(PlantedEncoder(visual_TD), FakeCaptioner(), ScriptedLLM())
    settings = LiveSettings(window=32, explain=False)
    live = LiveDetector(checkpoint, models, AlertRule(on, 0.7 * on), settings)
    records = []
    for number in range(SNIPPETS):
        frame = np.full((1, 1, 3), number, np.uint8)
        records += live.process([LiveFrame(frame, number * STEP)])
    alerts = [record for record in [*records, *live.finish()] if isinstance(record, LiveAlert)]
    return list({alert.number: alert for alert in alerts}.values())


def test_no_alert_extends_over_a_jump_of_the_clock(checkpoint: Checkpoint) -> None:
    """The middle of an event, sent in a loop: an alert per loop, as a file has events."""
    visual_TD = next(plant(n) for n in range(200, 225) if n % len(CLASSES)).visual_TD
    (event,) = analyze_file(checkpoint, visual_TD).events
    middle = round((event.start + event.end) / 2 / STEP)
    visual_TD = np.concatenate([visual_TD[: middle + 2], visual_TD[middle - 2 :]])
    jump = (middle + 2) * STEP
    on = checkpoint.calibration.even_odds_score()
    models = FrozenModels(PlantedEncoder(visual_TD), FakeCaptioner(), ScriptedLLM())
    settings = LiveSettings(window=64, explain=False)
    live = LiveDetector(checkpoint, models, AlertRule(on, 0.7 * on, 0), settings)
    records = []
    for number in range(len(visual_TD)):
        gaps = ((jump, jump),) if number == middle + 3 else ()  # one snippet late
        frame = LiveFrame(np.full((1, 1, 3), number, np.uint8), number * STEP, gaps=gaps)
        records += live.process([frame])
    records += live.finish()
    alerts = {record.number: record for record in records if isinstance(record, LiveAlert)}
    first, second = alerts.values()
    assert first.end == jump == second.start
    assert first.start == pytest.approx(event.start, abs=2 * STEP)


def test_stream_and_file_agree_in_class_and_begin_within_two_snippets(
    checkpoint: Checkpoint,
) -> None:
    videos = [plant(number) for number in range(200, 225) if number % len(CLASSES)]
    for video in videos:
        analysis = analyze_file(checkpoint, video.visual_TD)
        alerts = watch_stream(checkpoint, video.visual_TD)
        event = max(analysis.events, key=lambda event: event.score)
        (alert,) = [item for item in alerts if item.start < event.end and item.end > event.start]
        assert alert.label == event.label, video.video_id
        assert abs(alert.start - event.start) <= 2 * STEP + 1e-6, video.video_id
        # An alert ends at a lower score than it begins at, an event at the same one.
        assert abs(alert.end - event.end) <= 4 * STEP + 1e-6, video.video_id
