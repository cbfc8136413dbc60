"""The live detector: causal, bounded, and it says why; on the shipped models."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

from exvad.data.world.scene import Scene
from exvad.detector.detector import Detector
from exvad.encoders.protocols import Captioner, ImageTextEncoder, LanguageModel
from exvad.live.alerts import AlertRule
from exvad.live.live_detector import LiveDetector, LiveSettings, watch
from exvad.results.live import LiveAlert, LiveNotice, LiveScores
from exvad.video.live_source import LiveFrame, LiveSource, growing_file
from tests.helpers.checkpoints import save


class FrozenParts(NamedTuple):
    clip: ImageTextEncoder
    captioner: Captioner
    llm: LanguageModel


ALWAYS = AlertRule(on=0.0, off=0.0, least_seconds=0, cool_down_seconds=0)
NEVER = AlertRule(on=1.0, off=1.0)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector(save(tmp_path_factory.mktemp("live") / "checkpoint"))


@pytest.fixture(scope="module")
def pictures() -> list[LiveFrame]:
    scene = Scene(4, "Robbery", 11, 12)
    return [LiveFrame(scene.render(frame), frame / 10) for frame in range(0, scene.num_frames, 16)]


def scores(live: LiveDetector, pictures: list[LiveFrame], at_once: int) -> list[float]:
    told: list[float] = []
    for start in range(0, len(pictures), at_once):
        for record in live.see(pictures[start : start + at_once]):
            if isinstance(record, LiveScores):
                told += record.scores
    return told


def test_a_score_never_depends_on_what_comes_later(
    detector: Detector, pictures: list[LiveFrame]
) -> None:
    settings = LiveSettings(window=6, context=1, explain_seconds=1e9)

    def new() -> LiveDetector:
        live = LiveDetector(detector.checkpoint, detector.models, NEVER, settings)
        live.see(pictures[:1])  # the first explanation, which the text of both rests on
        return live

    whole = scores(new(), pictures[1:], 1)
    for count in (1, 3, 7):
        part = scores(new(), pictures[1 : 1 + count], 1)
        np.testing.assert_allclose(part, whole[:count], atol=1e-5)
    assert len(whole) == len(pictures) - 1


def test_an_alert_is_told_explained_and_ended(
    detector: Detector, pictures: list[LiveFrame]
) -> None:
    peaks: list[tuple[float, tuple[int, ...]]] = []
    live = LiveDetector(
        detector.checkpoint,
        detector.models,
        ALWAYS,
        LiveSettings(window=8, caption_every=2),
        on_peak=lambda alert, frame: peaks.append((alert.peak, frame.shape)),
    )
    told = [record for record in live.see(pictures) if isinstance(record, LiveAlert)]
    states = [record.state for record in told]
    assert states[0] == "began"
    assert "explained" in states
    (why,) = [record for record in told if record.state == "explained"]
    assert why.explanation is not None
    assert why.captions
    assert all(record.label in detector.classes[1:] for record in told)
    assert [peak for peak, _ in peaks] == sorted(peak for peak, _ in peaks)
    assert peaks[0][1] == pictures[0].frame.shape


def test_nothing_rings_before_there_is_something_to_compare_with(
    detector: Detector, pictures: list[LiveFrame]
) -> None:
    live = LiveDetector(detector.checkpoint, detector.models, ALWAYS, LiveSettings(explain=False))
    kinds = [[type(record).__name__ for record in live.see([each])] for each in pictures[:5]]
    assert kinds[:3] == [["LiveScores"]] * 3
    assert kinds[3] == ["LiveScores", "LiveAlert"]


def test_an_explanation_does_not_hold_up_the_scores(
    detector: Detector, pictures: list[LiveFrame]
) -> None:
    goes_on = threading.Event()

    class SlowLLM:
        def complete(self, prompts: Sequence[str]) -> list[str]:
            goes_on.wait(20)
            return detector.models.llm.complete(prompts)

    models = detector.models
    slow = FrozenParts(models.clip, models.captioner, SlowLLM())
    with ThreadPoolExecutor(1) as helper:
        live = LiveDetector(detector.checkpoint, slow, ALWAYS, helper=helper)
        records = live.see(pictures)
        assert isinstance(records[0], LiveScores)
        assert len(records[0].scores) == len(pictures)
        assert not any(isinstance(r, LiveAlert) and r.state == "explained" for r in records)
        goes_on.set()
        ended, *why = [record for record in live.finish() if isinstance(record, LiveAlert)]
        assert ended.state == "ended"
        assert {record.state for record in why} == {"explained"}
        assert all(record.explanation for record in why)


def test_a_file_is_watched_to_its_end(detector: Detector, tmp_path: Path) -> None:
    path = tmp_path / "camera.ts"
    scene = Scene(4, "Robbery", 11, 12)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(scene.num_frames):
            picture = av.VideoFrame.from_ndarray(scene.render(number), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    source = LiveSource(growing_file(path, 0.5), "camera.ts", 16, 120, ends=True, lives=1)
    live = LiveDetector(detector.checkpoint, detector.models, ALWAYS)
    records = list(watch(source.follow(threading.Event()), live))
    times = [time for record in records if isinstance(record, LiveScores) for time in record.times]
    assert len(times) == -(-scene.num_frames // 16)
    kinds = [record.kind for record in records if isinstance(record, LiveNotice)]
    assert kinds == ["connected", "ended"]
