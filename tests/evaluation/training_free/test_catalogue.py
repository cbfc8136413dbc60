"""Every system without training is measured by the same code as the trained ones.

T snippets · C classes
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exvad.config import load_config
from exvad.data.manifest import Manifest
from exvad.data.records import Event, Video
from exvad.encoders.answers import Answer
from exvad.evaluation.scored import Scored
from exvad.evaluation.training_free import (
    TRAINING_FREE,
    TrainingFreeInputs,
    build_training_free,
    load_inputs,
)
from tests.helpers.captioned import (
    FIRE,
    LABELS,
    STREET,
    WordEncoder,
    burning_video,
    captioned_video,
    quiet_video,
)
from tests.helpers.chat_endpoint import ChatServer, answer_reply, base_url
from tests.helpers.reading_llm import ReadingLLM


def inputs() -> TrainingFreeInputs:
    encoder = WordEncoder()
    label_CD = encoder.encode_texts([STREET, FIRE, "a robbery"])
    return TrainingFreeInputs(encoder, ReadingLLM(), label_CD, ("Are there flames?",))


@pytest.mark.parametrize("name", TRAINING_FREE)
def test_system_is_measured_by_the_code_for_trained_systems(name: str) -> None:
    result = build_training_free(name, inputs()).score([burning_video("a"), quiet_video("b")])
    manifest = Manifest(
        LABELS,
        (
            Video("a", "a.mp4", "test", ("Arson",), (Event(480, 640, "Arson"),), num_frames=960),
            Video("b", "b.mp4", "test", ("Normal",), num_frames=800),
        ),
    )
    maps = [prediction.probabilities_TC for prediction in result.predictions]
    assert all(map_TC is not None for map_TC in maps)
    scored = Scored(
        manifest,
        [prediction.scores_T for prediction in result.predictions],
        [map_TC for map_TC in maps if map_TC is not None],
        np.array([prediction.scores_T.max() for prediction in result.predictions]),
        ["Arson", "Normal"],
        16,
    )
    summary = scored.summary()
    assert summary["frame_auc"] is not None
    assert summary["frame_auc"] > 0.9
    assert summary["video_auc"] == 1
    assert summary["map_strict_0.1"] is not None
    assert summary["map_strict_0.1"] > 0


@pytest.mark.parametrize("name", TRAINING_FREE)
def test_system_without_labels_has_no_class_map(name: str) -> None:
    given = TrainingFreeInputs(WordEncoder(), ReadingLLM(), None)
    (prediction,) = build_training_free(name, given).score([burning_video()]).predictions
    assert prediction.probabilities_TC is None


@pytest.mark.parametrize("name", TRAINING_FREE)
def test_labels_of_another_width_are_refused(name: str) -> None:
    given = TrainingFreeInputs(WordEncoder(), ReadingLLM(), np.ones((3, 5)))
    with pytest.raises(ValueError, match="encode the labels"):
        build_training_free(name, given).score([captioned_video([FIRE] * 3)])


def test_load_inputs_keeps_the_answers_of_the_configured_model(tmp_path: Path) -> None:
    server = ChatServer(lambda *_: answer_reply("[0.4]"))
    config = load_config("demo", ["llm.backend=openai", base_url(server.port)])
    path = tmp_path / "answers.jsonl"
    try:
        loaded = load_inputs(config, answers=path)
        first = loaded.llm.complete(["How suspicious?"])
        again = loaded.llm.complete(["How suspicious?"])
    finally:
        server.close()
    assert first == again == [Answer("[0.4]")]
    assert len(server.requests) == len(path.read_text().splitlines()) == 1
    assert server.requests[0]["max_tokens"] == 512
    assert loaded.clip.encode_texts(["a fire"]).shape == (1, loaded.clip.width)


@pytest.mark.parametrize(("kind", "role"), [("ucf_crime", True), ("xd_violence", False)])
def test_lavad_has_a_role_but_for_xd_violence(kind: str, role: bool) -> None:
    server = ChatServer(lambda *_: answer_reply("[0.4]"))
    settings = ["llm.backend=openai", base_url(server.port), f"data.kind={kind}"]
    try:
        assert load_inputs(load_config("demo", settings)).lavad.role == role
    finally:
        server.close()


def test_build_training_free_names_the_systems_that_exist() -> None:
    with pytest.raises(ValueError, match="no system 'nonsense': known are lavad, vera"):
        build_training_free("nonsense", inputs())
