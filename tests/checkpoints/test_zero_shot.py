"""Detection without training: analyses of videos and streams with the tiny CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import exvad
from exvad.checkpoints.zero_shot import (
    ZeroShotModel,
    memory_classes,
    read_zero_shot,
    zero_shot_config,
)
from exvad.cli.main import main
from exvad.config import ConfigError
from exvad.data.world import Scene, render_video
from exvad.data.world.language import PHRASES
from exvad.detector.detector import Detector
from exvad.encoders.loading import LocalModels
from exvad.encoders.protocols import ImageTextEncoder
from exvad.live.alerts import AlertRule
from exvad.live.live_detector import LiveDetector
from exvad.results import Analysis, LiveAlert, LiveScores
from exvad.video.decoding import read_frames
from exvad.video.frame_buffer import LiveFrame
from exvad.zero_shot.scene_memory import NORMAL, SceneMemory
from tests.helpers.checkpoints import save_untrained_checkpoint

CLIP = {"clip.model": "package:clip", "data.short_side": 120}


class CountingClip:
    """A CLIP that records the texts.

    Args:
        clip: the encoder.
    """

    def __init__(self, clip: ImageTextEncoder) -> None:
        self.width, self.texts = clip.width, list[str]()
        self._clip = clip

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._clip.encode_images(frames)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += texts
        return self._clip.encode_texts(texts)


def found_events(analysis: Analysis) -> list[tuple[str, float, float, float]]:
    """Return class, start, end and score of each event."""
    return [(e.label, e.start, e.end, round(e.score, 4)) for e in analysis.events]


@pytest.fixture(scope="module")
def memory_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memory of the demo world's own phrases."""
    memory = SceneMemory(
        normal={"demo": list(PHRASES[NORMAL])},
        incidents={kind: list(texts) for kind, texts in PHRASES.items() if kind != NORMAL},
        origin="the demo world",
    )
    path = tmp_path_factory.mktemp("memory") / "memory.json"
    path.write_text(memory.model_dump_json())
    return path


@pytest.fixture(scope="module")
def arson(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of arson."""
    path = tmp_path_factory.mktemp("videos") / "arson.mp4"
    render_video(Scene(3, "Arson", 11, 12), path)
    return path


@pytest.fixture(scope="module")
def detector(memory_file: Path) -> Detector:
    """A detector without training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(memory_file.parent))
        return Detector(zero_shot_config({**CLIP, "zero_shot.memory": str(memory_file)}))


def test_config_of_a_folder_needs_no_pretrained_weights() -> None:
    assert zero_shot_config(CLIP).clip.pretrained == ""
    assert zero_shot_config().clip.pretrained == "openai"
    assert zero_shot_config().model.text == "none"


def test_a_file_of_settings_stands_in_for_a_checkpoint(tmp_path: Path, memory_file: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(
        "clip: {model: 'package:clip'}\n"
        f"zero_shot: {{memory: {memory_file}, look_for: {{Climbing: [a person climbs]}}}}\n"
    )
    config = read_zero_shot(path)
    assert config is not None
    assert (config.clip.pretrained, config.model.text) == ("", "none")
    assert memory_classes(config)[-1] == "Climbing"
    assert read_zero_shot("zero-shot") == zero_shot_config()
    assert read_zero_shot(tmp_path) is None
    assert read_zero_shot("models:/exvad@champion") is None
    with pytest.raises(ConfigError, match=r"no preset"):
        read_zero_shot(tmp_path / "absent.yaml")


def test_load_returns_a_detector_without_training(
    tmp_path: Path, memory_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "gate.yaml"
    path.write_text(f"clip: {{model: 'package:clip'}}\nzero_shot: {{memory: {memory_file}}}\n")
    assert exvad.load(path).classes[:2] == (NORMAL, "Arson")


def test_normal_scenes_of_a_request_are_refused_by_a_trained_network(tmp_path: Path) -> None:
    trained = Detector(save_untrained_checkpoint(tmp_path / "checkpoint"))
    with pytest.raises(ValueError, match="detection without training only"):
        trained.with_categories({}, ["people jog here"])


def test_analyze_finds_event_class_and_reason_without_training(
    detector: Detector, arson: Path
) -> None:
    analysis = detector.analyze(arson)
    scene = Scene(3, "Arson", 11, 12)
    truth = [frame / scene.fps for frame in scene.events[0][:2]]
    (event,) = analysis.events
    assert (analysis.label, event.label) == ("Arson", "Arson")
    overlap = min(event.end, truth[1]) - max(event.start, truth[0])
    assert overlap > 0
    assert analysis.explanation is not None
    assert analysis.explanation.category == "Arson"
    cited = [analysis.captions[number - 1] for number in analysis.explanation.evidence]
    assert {caption.raw for caption in cited} <= set(PHRASES["Arson"])
    assert all(event.start <= caption.time < event.end for caption in cited)
    assert "zero-shot" in analysis.model
    np.testing.assert_allclose(np.sum(analysis.probabilities, axis=1), 1, atol=1e-4)


def test_normal_scenes_of_a_camera_silence_an_incident(detector: Detector, arson: Path) -> None:
    before = detector.analyze(arson)
    quiet = Detector(
        detector.config.model_copy(
            update={
                "zero_shot": detector.config.zero_shot.model_copy(
                    update={"normal": list(PHRASES["Arson"])}
                )
            }
        ),
        models=detector.models,
    )
    assert "Arson" not in quiet.classes
    assert quiet.analyze(arson).anomaly_score < before.anomaly_score


def test_a_folder_of_images_without_an_incident_stays_quiet(
    detector: Detector, tmp_path: Path
) -> None:
    scene = Scene(5, NORMAL, 11, 12)
    for index in range(scene.num_frames):
        Image.fromarray(scene.render(index)).save(tmp_path / f"{index}.jpg", quality=90)
    analysis = detector.analyze(tmp_path)
    assert analysis.num_frames == scene.num_frames
    assert (analysis.label, analysis.events) == (NORMAL, [])
    assert max(analysis.scores) < 0.4


def test_one_normal_scene_silences_what_it_describes_and_nothing_else(
    detector: Detector, arson: Path
) -> None:
    near = detector.analyze(arson, normal=["a person sets fire to the car"])
    assert "Arson" not in [event.label for event in near.events]
    other = detector.analyze(arson, normal=["people jog here"])
    assert found_events(other) == found_events(detector.analyze(arson))


def test_one_scene_of_a_request_is_looked_for(
    detector: Detector, arson: Path, tmp_path: Path
) -> None:
    memory = SceneMemory.read(detector.config.zero_shot.memory)
    kinds = {kind: texts for kind, texts in memory.incidents.items() if kind != "Arson"}
    path = tmp_path / "memory.json"
    path.write_text(memory.model_copy(update={"incidents": kinds}).model_dump_json())
    config = zero_shot_config({**CLIP, "zero_shot.memory": str(path)})
    unaware = Detector(config, models=detector.models)
    before = unaware.analyze(arson)
    (event, *_) = unaware.analyze(arson, categories={"Fire": ["a car is set on fire"]}).events
    assert event.label == "Fire"
    assert all(other.start >= event.end for other in before.events)
    fence = {"Climbing": ["a person climbs over a fence"]}
    assert found_events(unaware.analyze(arson, categories=fence)) == found_events(before)


def test_a_request_encodes_only_its_own_scenes(detector: Detector) -> None:
    clip = CountingClip(detector.models.clip)
    assert isinstance(detector.checkpoint, ZeroShotModel)
    detector.checkpoint.with_scenes(clip, ["people jog here"], {"Climbing": ["a person climbs"]})
    assert clip.texts == [
        "an abnormal event: people jog here",
        "an abnormal event: a person climbs",
    ]


def test_categories_of_a_request_are_looked_for(detector: Detector, arson: Path) -> None:
    categories = {"Burning": list(PHRASES["Arson"])}
    analysis = detector.analyze(arson, categories=categories)
    assert analysis.label == "Burning"
    assert analysis.untrained == ["Burning"]


def test_live_detector_alerts_without_training(detector: Detector, arson: Path) -> None:
    offline = detector.analyze(arson)
    images = read_frames(arson, offline.times, 120)
    frames = [LiveFrame(image, time) for image, time in zip(images, offline.times, strict=True)]
    rule = AlertRule(on=0.5, off=0.3, least_seconds=0)
    live = LiveDetector(detector.checkpoint, detector.models, rule)
    records = [record for frame in frames for record in live.process([frame])] + live.finish()
    alerts = [record for record in records if isinstance(record, LiveAlert)]
    assert alerts[0].state == "began"
    assert alerts[0].label == "Arson"
    assert alerts[0].explanation is not None
    assert alerts[0].explanation.category == "Arson"
    assert alerts[0].captions[0].removeprefix("resembles: ") in PHRASES["Arson"]
    period = offline.times[1] - offline.times[0]
    assert abs(alerts[0].start - offline.events[0].start) <= 2 * period + 0.01
    scores = [s for record in records if isinstance(record, LiveScores) for s in record.scores]
    assert len(scores) == len(offline.scores)


def test_command_line_analyzes_without_a_checkpoint(
    tmp_path: Path,
    memory_file: Path,
    arson: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    page = tmp_path / "report.html"
    arguments = ["analyze", str(arson), "--json", "--html", str(page), "--memory", str(memory_file)]
    settings = ["--set", "clip.model=package:clip", "--set", "data.short_side=120"]
    scenes = ["--normal", "people jog here", "--look-for", "Burning=a car burns in a yard"]
    assert main([*arguments, *settings, *scenes]) == 0
    output = capsys.readouterr()
    analysis = Analysis.model_validate_json(output.out)
    assert analysis.classes[-1] == "Burning"
    assert analysis.events
    assert "comparing frames with a memory of scenes" in output.err
    assert "resembles: " in page.read_text()


def test_command_line_adds_scenes_to_those_of_a_file(
    tmp_path: Path,
    memory_file: Path,
    arson: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "gate.yaml"
    path.write_text(
        "clip: {model: 'package:clip'}\ndata: {short_side: 120}\n"
        f"zero_shot: {{memory: {memory_file}, look_for: {{Climbing: [a person climbs]}}}}\n"
    )
    plain = ["analyze", str(arson), "--json", "--checkpoint", str(path)]
    assert main([*plain, "--look-for", "Climbing=a ladder at a wall"]) == 0
    loud = Analysis.model_validate_json(capsys.readouterr().out)
    assert (loud.label, loud.classes[-1]) == ("Arson", "Climbing")
    assert main([*plain, "--normal", "a person sets fire to the car"]) == 0
    quiet = Analysis.model_validate_json(capsys.readouterr().out)
    assert quiet.classes[-1] == "Climbing"
    assert "Arson" not in [event.label for event in quiet.events]


def test_command_line_says_what_to_do_without_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "video.mp4").write_text("a video")
    assert main(["analyze", "video.mp4", "--set", "clip.model=local-dir:/no/such"]) == 2
    message = capsys.readouterr().err
    assert "without a checkpoint, exvad needs CLIP" in message
    assert "--set clip.model=local-dir:FOLDER" in message
    assert message.count("clip.model=") == 1
    assert "exvad demo" in message


def test_command_line_refuses_contradictions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "v.mp4", "--checkpoint", "x", "--normal", "people jog"]) == 2
    assert "give either" in capsys.readouterr().err
    assert main(["analyze", "v.mp4", "--look-for", "climbing"]) == 2
    assert "write KIND=SCENE" in capsys.readouterr().err


def test_models_of_a_detector_can_be_given(memory_file: Path, detector: Detector) -> None:
    config = zero_shot_config({**CLIP, "zero_shot.memory": str(memory_file)})
    models = LocalModels(config)
    assert Detector(config, models=models).classes == detector.classes


def test_command_line_shows_a_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["memory", "show"]) == 0
    output = capsys.readouterr().out
    assert "Fighting" in output
    assert "origin: written for exvad" in output
