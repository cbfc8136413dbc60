"""A second look at the events of detection without training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from exvad.checkpoints.zero_shot import zero_shot_config
from exvad.data.world import Scene, render_video
from exvad.data.world.language import PHRASES
from exvad.detector.detector import Detector
from exvad.encoders.answers import Answer
from exvad.encoders.endpoint import EndpointError
from exvad.encoders.loading import load_clip
from exvad.live.alerts import AlertRule
from exvad.live.live_detector import LiveDetector
from exvad.results import Analysis, LiveAlert, LiveNotice
from exvad.video.decoding import read_frames
from exvad.video.frame_buffer import LiveFrame
from exvad.zero_shot.scene_memory import NORMAL, SceneMemory
from tests.helpers.fakes import FakeCaptioner, ScriptedLLM

if TYPE_CHECKING:
    from exvad.encoders.protocols import ImageTextEncoder


@dataclass
class Looking:
    """Frozen models with a scripted language model."""

    clip: ImageTextEncoder
    captioner: FakeCaptioner
    llm: ScriptedLLM


@pytest.fixture(scope="module")
def clip() -> ImageTextEncoder:
    return load_clip(zero_shot_config({"clip.model": "package:clip"}))


def answer(anomalous: bool) -> str:
    """Return what a language model says about the robbery."""
    return json.dumps(
        {
            "anomalous": anomalous,
            "category": "Robbery" if anomalous else NORMAL,
            "summary": "A person points at another.",
            "reason": "It is a gun." if anomalous else "It is a phone.",
            "evidence": [1],
        }
    )


def build(tmp_path: Path, clip: ImageTextEncoder, *rounds: Sequence[str | Answer]) -> Detector:
    """Return a detector that verifies its events, with these answers of the language model."""
    memory = SceneMemory(
        normal={"demo": list(PHRASES[NORMAL])},
        incidents={kind: list(texts) for kind, texts in PHRASES.items() if kind != NORMAL},
        origin="the demo world",
    )
    (tmp_path / "memory.json").write_text(memory.model_dump_json())
    config = zero_shot_config(
        {
            "clip.model": "package:clip",
            "data.short_side": 120,
            "zero_shot.memory": str(tmp_path / "memory.json"),
            "zero_shot.verify": True,
            "llm.attempts": 1,
        }
    )
    return Detector(config, models=Looking(clip, FakeCaptioner(), ScriptedLLM(*rounds)))


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_second_look_explains_confirmed_events_by_captions_of_their_frames(
    tmp_path: Path, clip: ImageTextEncoder, robbery: Path
) -> None:
    analysis = build(tmp_path, clip, [answer(True)]).analyze(robbery)
    assert analysis.events
    assert analysis.explanation is not None
    assert analysis.explanation.reason == "It is a gun."
    assert 0 < len(analysis.captions) <= 3 * len(analysis.events)
    for caption in analysis.captions:
        assert any(event.start <= caption.time < event.end for event in analysis.events)
        assert not caption.text.startswith("resembles")


def test_second_look_rejects_events_and_says_so(
    tmp_path: Path, clip: ImageTextEncoder, robbery: Path
) -> None:
    analysis = build(tmp_path, clip, [answer(False)]).analyze(robbery)
    assert (analysis.events, analysis.label) == ([], NORMAL)
    assert any("a second look rejected Robbery at" in text for text in analysis.problems)
    assert any("It is a phone." in text for text in analysis.problems)


def test_second_look_without_an_answer_leaves_the_events(
    tmp_path: Path, clip: ImageTextEncoder, robbery: Path
) -> None:
    analysis = build(tmp_path, clip, ["no idea"]).analyze(robbery)
    assert analysis.events
    assert any("Robbery at" in text for text in analysis.problems)
    assert any("was not looked at again" in text for text in analysis.problems)


class Joined:
    """Scenes one after the other, as one that can be rendered.

    Args:
        scenes: the scenes.
    """

    def __init__(self, *scenes: Scene) -> None:
        self.fps = scenes[0].fps
        self.num_frames = sum(scene.num_frames for scene in scenes)
        self._scenes = scenes

    def render(self, index: int) -> NDArray[np.uint8]:
        for scene in self._scenes:
            if index < scene.num_frames:
                return scene.render(index)
            index -= scene.num_frames
        raise IndexError(index)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of a robbery and, later, of arson."""
    path = tmp_path_factory.mktemp("both") / "both.mp4"
    scenes = [Scene(4, "Robbery", 11, 12), Scene(5, NORMAL, 11, 12), Scene(3, "Arson", 11, 12)]
    render_video(cast("Scene", Joined(*scenes)), path)
    return path


def answers(analysis: Analysis, rejected: str) -> list[str]:
    """Return what a language model says about each event, if it rejects those of one class."""
    return [answer(event.label != rejected) for event in analysis.events]


def test_second_look_rejects_one_event_and_keeps_another(
    tmp_path: Path, clip: ImageTextEncoder, both: Path
) -> None:
    before = build(tmp_path, clip).analyze(both, explain=False)
    labels = [event.label for event in before.events]
    assert {"Robbery", "Arson"} <= set(labels)
    detector = build(tmp_path, clip, answers(before, "Arson"))
    analysis = detector.analyze(both)
    assert [event.label for event in analysis.events] == [
        label for label in labels if label != "Arson"
    ]
    assert analysis.label != "Arson"
    assert analysis.explanation is not None
    assert analysis.explanation.reason == "It is a gun."
    strongest = max(analysis.events, key=lambda event: event.score)
    cited = analysis.captions[analysis.explanation.evidence[0] - 1]
    assert strongest.start <= cited.time < strongest.end
    assert len([text for text in analysis.problems if "rejected Arson at" in text]) == 1
    assert not analysis.disagreement
    (prompts,) = cast("ScriptedLLM", detector.models.llm).prompts
    assert len(prompts) == len(labels)


def test_second_look_keeps_an_event_without_an_answer_beside_a_rejected_one(
    tmp_path: Path, clip: ImageTextEncoder, both: Path
) -> None:
    before = build(tmp_path, clip).analyze(both, explain=False)
    given = [answer(False) if event.label == "Arson" else "no idea" for event in before.events]
    analysis = build(tmp_path, clip, given).analyze(both)
    assert "Arson" not in [event.label for event in analysis.events]
    assert analysis.events
    assert any("was not looked at again" in text for text in analysis.problems)


def test_second_look_is_taken_at_the_strongest_events_only(
    tmp_path: Path, clip: ImageTextEncoder, both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exvad.detector.second_look.MAX_LOOKS", 1)
    before = build(tmp_path, clip).analyze(both, explain=False)
    analysis = build(tmp_path, clip, [answer(False)]).analyze(both)
    assert len(analysis.events) == len(before.events) - 1
    assert any("only the 1 strongest of" in text for text in analysis.problems)


class Unreachable(ScriptedLLM):
    """A language model whose endpoint is down."""

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        raise EndpointError("http://models.example: no answer")


def test_second_look_at_an_endpoint_that_is_down_leaves_the_analysis(
    tmp_path: Path, clip: ImageTextEncoder, robbery: Path
) -> None:
    detector = build(tmp_path, clip)
    down = Looking(clip, FakeCaptioner(), Unreachable())
    analysis = Detector(detector.config, models=down).analyze(robbery)
    assert analysis.events
    assert analysis.explanation is not None
    (problem,) = analysis.problems
    assert problem == ("the events were not looked at again: http://models.example: no answer")


def test_second_look_is_not_taken_where_nothing_is_to_be_explained(
    tmp_path: Path, clip: ImageTextEncoder, robbery: Path
) -> None:
    assert build(tmp_path, clip).analyze(robbery, explain=False).events


@pytest.mark.parametrize("anomalous", [True, False])
def test_live_alert_rings_only_if_the_second_look_confirms_it(
    tmp_path: Path, clip: ImageTextEncoder, robbery: Path, anomalous: bool
) -> None:
    detector = build(tmp_path, clip, *[[answer(anomalous)]] * 8)
    times = [index * 0.64 for index in range(12)]
    frames = [
        LiveFrame(image, time)
        for image, time in zip(read_frames(robbery, times, 120), times, strict=True)
    ]
    rule = AlertRule(on=0.3, off=0.2, least_seconds=0)
    live = LiveDetector(detector.checkpoint, detector.models, rule)
    records = [record for frame in frames for record in live.process([frame])] + live.finish()
    alerts = [record.state for record in records if isinstance(record, LiveAlert)]
    notices = [record.kind for record in records if isinstance(record, LiveNotice)]
    if anomalous:
        assert alerts[0] == "began"
        assert "explained" in alerts
    else:
        assert alerts == []
        assert "rejected" in notices
