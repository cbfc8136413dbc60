"""A checkpoint comes back as it was saved, or says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import exvad.checkpoints.checkpoint
from exvad.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from exvad.inference.calibration import Calibration
from exvad.inference.network import build_network
from exvad.laam.phrases import LabelPhrases
from tests.helpers.planted import CLASSES, WIDTH, config, directions, examples

LABELS = LabelPhrases(phrases={label: [f"{label} {n}" for n in range(4)] for label in CLASSES},
                      origin="test")  # fmt: skip


def save(folder: Path, seed: int = 0) -> None:
    torch.manual_seed(seed)
    settings = config(f"run={folder.parent}", f"data.root={folder.parent}/videos")
    network = build_network(settings, WIDTH, len(CLASSES))
    trained = Checkpoint(
        network,
        torch.from_numpy(directions()),
        LABELS,
        settings,
        Calibration(branch="alignment", threshold=0.25),
        {"best": {"val_auc": 0.9}},
        {"seed": seed},
    )
    save_checkpoint(folder, trained)


def outputs(checkpoint: Checkpoint) -> torch.Tensor:
    found = checkpoint.predict(examples(3, seed=5))
    return torch.cat([torch.from_numpy(p.probabilities_TC) for p in found])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def test_what_is_saved_comes_back(folder: Path) -> None:
    checkpoint = load_checkpoint(folder)
    torch.manual_seed(0)
    fresh = build_network(config(), WIDTH, len(CLASSES)).state_dict()
    for name, tensor in checkpoint.network.state_dict().items():
        assert torch.equal(tensor, fresh[name]), name
    assert checkpoint.labels == LABELS
    assert checkpoint.calibration == Calibration(branch="alignment", threshold=0.25)
    assert checkpoint.config.model == config().model
    assert checkpoint.provenance["seed"] == 0
    assert torch.equal(outputs(checkpoint), outputs(load_checkpoint(folder)))


def test_no_file_tells_the_users_folders(folder: Path) -> None:
    for path in folder.iterdir():
        assert str(folder.parent).encode() not in path.read_bytes(), path.name


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.yaml", "labels.json", "metrics.json", "provenance.json"]
)
def test_a_missing_or_damaged_part_is_named(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"checkpoint|labels\.json"):
        load_checkpoint(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        load_checkpoint(folder)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("layers: 1", "layers: 2"))
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_checkpoint(tmp_path / "none")


def test_a_crash_while_saving_leaves_the_old_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = outputs(load_checkpoint(folder))

    def crash(*_: object, **__: object) -> str:
        raise OSError("no space left on device")

    monkeypatch.setattr(exvad.checkpoints.checkpoint.json, "dumps", crash)  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="no space"):
        save(folder, seed=1)
    monkeypatch.undo()
    assert torch.equal(outputs(load_checkpoint(folder)), before)
    save(folder, seed=1)
    assert json.loads((folder / "provenance.json").read_text())["seed"] == 1
