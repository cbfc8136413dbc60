"""Checkpoints of other systems answer about files, with their limits, and refuse what they lack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from exvad.checkpoints.checkpoint import load_checkpoint
from exvad.checkpoints.layout import CheckpointError
from exvad.checkpoints.saved_system import SavedSystem
from exvad.config import load_config
from exvad.data.world.activities import CLASSES
from exvad.detector.detector import Detector
from exvad.export.folder import export_checkpoint
from exvad.export.graphs import ExportError
from tests.helpers.checkpoints import save_untrained_system
from tests.helpers.videos import write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", 40, size=(160, 120))


@pytest.fixture(scope="module")
def rtfm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rtfm") / "checkpoint"
    return save_untrained_system(folder, SavedSystem(name="rtfm", way="F2"))


def test_detector_answers_with_another_system(rtfm: Path, video: Path) -> None:
    analysis = Detector(rtfm).analyze(video)
    assert len(analysis.scores) == 3
    assert analysis.classes == list(CLASSES)
    assert analysis.model.startswith("RTFM (one crop), exvad ")
    assert [text for text in analysis.problems if "not part of it as published" in text]


def test_detector_answers_without_classes(tmp_path: Path, video: Path) -> None:
    saved = SavedSystem(name="real_ad", way="coarse")
    analysis = Detector(save_untrained_system(tmp_path / "coarse", saved)).analyze(video)
    assert analysis.classes == ["Normal", "Abnormal"]
    assert {event.label for event in analysis.events} == {"Abnormal"}
    assert "it says when something is abnormal, and not of which class" in analysis.problems[-1]


def test_vadclip_gets_its_text_encoder_from_clip(tmp_path: Path) -> None:
    folder = save_untrained_system(tmp_path / "v", SavedSystem(name="vadclip", way="F0"))
    first, again = load_checkpoint(folder).network, load_checkpoint(folder).network
    assert all(
        torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items()
    )
    assert not any(name.startswith("prompt.text.") for name in first.state_dict())


def test_other_systems_take_no_categories_and_are_not_exported(
    rtfm: Path, video: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"categories cannot be added to RTFM"):
        Detector(rtfm).analyze(video, categories={"Queue": ["people stand in a line"]})
    with pytest.raises(ExportError, match="only the network of Ex-VAD can be exported"):
        export_checkpoint(rtfm, tmp_path / "exported")


def test_system_of_an_earlier_version_is_built_as_it_was() -> None:
    earlier = SavedSystem.model_validate({"name": "clip_tsa", "way": "coarse", "text_width": 0})
    label_CD = torch.randn(7, 32)
    system = earlier.build(load_config("demo"), label_CD, [f"c{row}" for row in range(7)])
    assert vars(system)["kappa"] == 0.95
    assert system.feature_width == 32


def test_provenance_keeps_the_kind_of_data_set_and_the_options(tmp_path: Path) -> None:
    saved = SavedSystem(
        name="pel4vad", way="F0", kind="xd_violence", options={"prior": (0.1, 0.2), "kernel": 5}
    )
    loaded = load_checkpoint(save_untrained_system(tmp_path / "v", saved))
    assert loaded.system is not None
    assert loaded.system.kind == "xd_violence"
    assert loaded.network.state_dict()["score.weight"].shape[-1] == 5
    assert loaded.name.startswith("PEL4VAD (label embeddings) [prior 0.1 and 0.2, kernel 5], exvad")


def test_checkpoint_of_a_system_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    folder = save_untrained_system(tmp_path / "v", SavedSystem(name="real_ad", way="F2"))
    path = folder / "provenance.json"
    record = json.loads(path.read_text())
    record["system"]["name"] = "of_tomorrow"
    path.write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match="there is no system 'of_tomorrow'"):
        load_checkpoint(folder)
