"""The live detector is causal, reports alerts and explains them; with the shipped models."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from exvad.checkpoints.checkpoint import Checkpoint
from exvad.config import override_config
from exvad.data.world.scene import Scene
from exvad.detector.detector import Detector
from exvad.encoders.answers import Answer
from exvad.encoders.endpoint import EndpointError
from exvad.inference.network import load_network
from exvad.inference.prediction import Prediction
from exvad.live.alerts import AlertRule
from exvad.live.live_detector import LiveDetector, watch
from exvad.live.settings import LiveSettings
from exvad.results.live import LiveAlert, LiveNotice, LiveScores
from exvad.store.examples import Example
from exvad.video.frame_buffer import LiveFrame
from exvad.video.live_source import LiveSource, growing_file
from tests.helpers.executors import ManualExecutor
from tests.helpers.explanations import explanation_json
from tests.helpers.fakes import FrozenModels, RefusingCaptioner, ScriptedLLM

ALWAYS = AlertRule(on=0.0, off=0.0, least_seconds=0, cool_down_seconds=0)
NEVER = AlertRule(on=1.0, off=1.0)


def score_one_by_one(live: LiveDetector, frames: list[LiveFrame]) -> list[float]:
    records = [record for frame in frames for record in live.process([frame])]
    return [score for item in records if isinstance(item, LiveScores) for score in item.scores]


def test_process_gives_scores_that_do_not_depend_on_later_frames(
    detector: Detector, frames: list[LiveFrame]
) -> None:
    settings = LiveSettings(window=6, context=1, explain_seconds=1e9)

    def make_detector() -> LiveDetector:
        live = LiveDetector(detector.checkpoint, detector.models, NEVER, settings)
        live.process(frames[:1])  # the only explanation: all detectors have the same text feature
        return live

    all_scores = score_one_by_one(make_detector(), frames[1:])
    for count in (1, 3, 7):
        scores = score_one_by_one(make_detector(), frames[1 : 1 + count])
        np.testing.assert_allclose(scores, all_scores[:count], atol=1e-5)
    assert len(all_scores) == len(frames) - 1


def test_process_reports_an_alert_and_its_explanation(
    detector: Detector, frames: list[LiveFrame]
) -> None:
    peaks: list[tuple[float, tuple[int, ...]]] = []
    live = LiveDetector(
        detector.checkpoint,
        detector.models,
        ALWAYS,
        LiveSettings(window=8, captions=4),
        on_peak=lambda alert, frame: peaks.append((alert.peak, frame.shape)),
    )
    alerts = [record for record in live.process(frames) if isinstance(record, LiveAlert)]
    states = [record.state for record in alerts]
    assert states[0] == "began"
    assert "explained" in states
    (explained,) = [record for record in alerts if record.state == "explained"]
    assert explained.explanation is not None
    assert explained.captions
    assert all(record.label in detector.classes[1:] for record in alerts)
    assert [peak for peak, _ in peaks] == sorted(peak for peak, _ in peaks)
    assert peaks[0][1] == frames[0].frame.shape


def test_process_begins_no_alert_before_it_has_enough_context(
    detector: Detector, frames: list[LiveFrame]
) -> None:
    live = LiveDetector(detector.checkpoint, detector.models, ALWAYS, LiveSettings(explain=False))
    kinds = [[type(record).__name__ for record in live.process([frame])] for frame in frames[:5]]
    assert kinds[:3] == [["LiveScores"]] * 3
    assert kinds[3] == ["LiveScores", "LiveAlert"]


def test_process_does_not_wait_for_explanations_in_an_executor(
    detector: Detector, frames: list[LiveFrame]
) -> None:
    resume = threading.Event()

    class SlowLLM:
        def complete(self, prompts: Sequence[str]) -> list[Answer]:
            resume.wait(20)
            return detector.models.llm.complete(prompts)

    models = detector.models
    slow = FrozenModels(models.clip, models.captioner, SlowLLM())
    with ThreadPoolExecutor(1) as executor:
        live = LiveDetector(detector.checkpoint, slow, ALWAYS, executor=executor)
        records = live.process(frames)
        assert isinstance(records[0], LiveScores)
        assert len(records[0].scores) == len(frames)
        assert not any(isinstance(r, LiveAlert) and r.state == "explained" for r in records)
        resume.set()
        ended, *explained = [record for record in live.finish() if isinstance(record, LiveAlert)]
        assert ended.state == "ended"
        states = [record.state for record in explained]
        assert "explained" in states
        assert set(states) <= {"explained", "placed"}
        assert all(item.explanation for item in explained if item.state == "explained")


class BrokenLLM:
    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        raise EndpointError("http://llm gave no answer for 600 s")


def test_process_goes_on_with_a_notice_where_no_explanation_can_be_had(
    detector: Detector, frames: list[LiveFrame]
) -> None:
    clip, captioner = detector.models.clip, detector.models.captioner
    refusing = ScriptedLLM([Answer("", refusal="too violent")])
    for models, reason in (
        (FrozenModels(clip, captioner, refusing), "refused: too violent"),
        (FrozenModels(clip, RefusingCaptioner(), refusing), "no caption: refused: too violent"),
        (FrozenModels(clip, captioner, BrokenLLM()), "http://llm gave no answer for 600 s"),
    ):
        live = LiveDetector(detector.checkpoint, models, NEVER, LiveSettings(explain_seconds=1e9))
        records = live.process(frames)
        assert [r.text for r in records if isinstance(r, LiveNotice)] == [reason]
        assert sum(len(r.scores) for r in records if isinstance(r, LiveScores)) == len(frames)


def test_watch_yields_the_records_of_a_file_to_its_end(detector: Detector, tmp_path: Path) -> None:
    path = tmp_path / "camera.ts"
    scene = Scene(4, "Robbery", 11, 12)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(scene.num_frames):
            frame = av.VideoFrame.from_ndarray(scene.render(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    source = LiveSource(
        growing_file(path, 0.5), "camera.ts", 16, 120, ends_with_data=True, max_retries=1
    )
    live = LiveDetector(detector.checkpoint, detector.models, ALWAYS)
    records = list(watch(source.follow(threading.Event()), live))
    times = [time for record in records if isinstance(record, LiveScores) for time in record.times]
    assert len(times) == -(-scene.num_frames // 16)
    kinds = [record.kind for record in records if isinstance(record, LiveNotice)]
    assert kinds == ["connected", "ended"]


def test_process_gives_grounded_text_to_the_window_once_there_is_an_explanation(
    detector: Detector, frames: list[LiveFrame]
) -> None:
    config = override_config(detector.config, {"model.text": "grounded"})
    trained = detector.checkpoint
    assert isinstance(trained, Checkpoint)
    network = load_network(config, trained.label_CD, trained.network.state_dict())
    checkpoint = replace(trained, config=config, network=network)
    settings = LiveSettings(window=6, context=1, explain_seconds=1e9)
    live = LiveDetector(checkpoint, detector.models, NEVER, settings)
    unexplained = replace(settings, explain=False)
    silent = LiveDetector(checkpoint, detector.models, NEVER, unexplained)
    (first, *later), (first_silent, *later_silent) = (
        score_one_by_one(each, frames[:7]) for each in (live, silent)
    )
    assert first == pytest.approx(first_silent, abs=1e-5), "zeros before the first explanation"
    assert np.abs(np.array(later) - later_silent).max() > 1e-4


class TextReader:
    """A checkpoint whose scores depend on the text.

    Args:
        checkpoint: what it is otherwise.
        longer: with this of the texts that it reads, and later ones, an event is longer.
    """

    def __init__(self, checkpoint: Checkpoint, longer: int) -> None:
        self._checkpoint, self._longer = checkpoint, longer
        self.texts: list[bytes] = []  # in the order in which they came

    def __getattr__(self, name: str) -> Any:
        return getattr(self._checkpoint, name)

    def predict(self, examples: Sequence[Example], max_snippets: int) -> list[Prediction]:
        """Score the one window."""
        ((visual_TD, text),) = [(example.visual_TD, example.text) for example in examples]
        assert text is not None
        if text.any() and text.tobytes() not in self.texts:
            self.texts.append(text.tobytes())
        number = self.texts.index(text.tobytes()) + 1 if text.any() else 0
        scores_T = np.zeros(len(visual_TD), np.float32)
        scores_T[(2 if number < self._longer else 0) : 6] = 1
        probabilities_TC = np.full((len(visual_TD), len(self.classes)), 0.1, np.float32)
        probabilities_TC[:, 1] = 0.9
        return [Prediction({"classifier": scores_T, "alignment": scores_T}, probabilities_TC)]


def test_an_alert_that_ended_is_placed_by_the_text_of_the_whole_window(
    detector: Detector, frames: list[LiveFrame]
) -> None:
    texts = ["a fire begins.", "a fire goes out.", "a fire burns in a yard."]
    llm = ScriptedLLM(*[[explanation_json(summary=text)] for text in texts])
    assert isinstance(detector.checkpoint, Checkpoint)
    checkpoint: Any = TextReader(detector.checkpoint, 3)
    models = FrozenModels(detector.models.clip, detector.models.captioner, llm)
    live = LiveDetector(checkpoint, models, AlertRule(0.5, 0.5, 0, 0))
    records = [record for frame in frames[:8] for record in live.process([frame])]
    alerts = [record for record in [*records, *live.finish()] if isinstance(record, LiveAlert)]
    assert [alert.state for alert in alerts][-3:] == ["ended", "explained", "placed"]
    ended, _, placed = alerts[-3:]
    assert (placed.start, placed.end) == (frames[0].time, frames[6].time)
    assert ended.start == frames[2].time


def test_an_ended_alert_is_not_placed_by_a_text_from_before_its_end(
    detector: Detector, frames: list[LiveFrame]
) -> None:
    texts = ["a yard.", "a fire begins.", "a fire goes out.", "a fire burns in a yard."]
    llm = ScriptedLLM(*[[explanation_json(summary=text)] for text in texts])
    assert isinstance(detector.checkpoint, Checkpoint)
    checkpoint: Any = TextReader(detector.checkpoint, 2)
    models = FrozenModels(detector.models.clip, detector.models.captioner, llm)
    executor = ManualExecutor()
    settings = LiveSettings(explain_seconds=1)
    live = LiveDetector(checkpoint, models, AlertRule(0.5, 0.5, 0, 0), settings, executor)

    def states(new_frames: Sequence[LiveFrame]) -> list[str]:
        records = live.process(new_frames)
        return [record.state for record in records if isinstance(record, LiveAlert)]

    def finish_explanation() -> list[str]:
        executor.run()
        return states([])

    assert states(frames[:5]) == ["began"]
    assert finish_explanation() == ["explained"]
    assert "ended" not in states([frames[5]])  # an explanation of the stream is due and starts
    assert states([frames[6]]) == ["ended"]
    assert finish_explanation() == []  # that of the stream, which does not know the end
    assert finish_explanation() == ["explained"]
    assert finish_explanation() == ["placed"]
