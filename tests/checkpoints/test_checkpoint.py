"""A checkpoint loads as it was saved, or the error names the problem."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors

import exvad
import exvad.checkpoints.checkpoint
from exvad.checkpoints.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
    saved_checkpoint,
    trained_config,
)
from exvad.checkpoints.layout import FILES, MODEL, PROVENANCE, CheckpointError
from exvad.data.storage.places import resolve_place
from exvad.data.versions import OtherVersionError
from exvad.inference.calibration import Calibration
from exvad.inference.domain import fit_domain
from exvad.inference.network import build_network
from exvad.laam.phrases import LabelPhrases
from tests.helpers.disks import small_disk
from tests.helpers.planted import CLASSES, WIDTH, config, directions, examples

LABELS = LabelPhrases(phrases={label: [f"{label} {n}" for n in range(4)] for label in CLASSES},
                      origin="test")  # fmt: skip


def save(
    folder: Path,
    seed: int = 0,
    provenance: dict[str, Any] | None = None,
    weight: float | None = None,
) -> None:
    """Save an untrained checkpoint whose configuration names the user's folders."""
    torch.manual_seed(seed)
    settings = config(f"run={folder.parent}", f"data.root={folder.parent}/videos")
    network = build_network(settings, WIDTH, len(CLASSES))
    if weight is not None:
        next(network.parameters()).data.view(-1)[0] = weight
    trained = Checkpoint(
        network,
        torch.from_numpy(directions()),
        LABELS,
        settings,
        Calibration(branch="alignment", threshold=0.25),
        {"best": {"val_auc": 0.9}},
        {"seed": seed, **(provenance or {})},
    )
    save_checkpoint(folder, trained)


def test_load_checkpoint_returns_the_statistics_of_training_and_stands_their_absence(
    folder: Path,
) -> None:
    checkpoint = load_checkpoint(folder)
    assert checkpoint.domain is None
    videos = [example.visual_TD for example in examples(40, seed=1)]
    save_checkpoint(folder, replace(checkpoint, domain=fit_domain(videos)))
    domain = load_checkpoint(folder).domain
    assert domain is not None
    expected = fit_domain(videos)
    assert expected is not None
    assert domain.check(domain.profiles(videos[0])) == expected.check(expected.profiles(videos[0]))
    assert domain.stretch_limit(4) == expected.stretch_limit(4)
    assert torch.equal(outputs(load_checkpoint(folder)), outputs(checkpoint))


def test_load_checkpoint_stands_statistics_of_an_earlier_measure(folder: Path) -> None:
    tensors = load_file(folder / MODEL)
    earlier = {"domain.mean_D": torch.zeros(WIDTH), "domain.distances_Q": torch.ones(101)}
    weights = save_tensors({**tensors, **earlier})
    (folder / MODEL).write_bytes(weights)
    provenance = json.loads((folder / PROVENANCE).read_text())
    provenance["weights"] = hashlib.sha256(weights).hexdigest()
    (folder / PROVENANCE).write_text(json.dumps(provenance))
    assert load_checkpoint(folder).domain is None


def outputs(checkpoint: Checkpoint) -> torch.Tensor:
    predictions = checkpoint.predict(examples(3, seed=5))
    return torch.cat([torch.from_numpy(p.probabilities_TC) for p in predictions])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def test_load_checkpoint_returns_what_was_saved(folder: Path) -> None:
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


def test_save_checkpoint_stores_no_path_of_the_user(folder: Path) -> None:
    for path in folder.iterdir():
        assert str(folder.parent).encode() not in path.read_bytes(), path.name


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.yaml", "labels.json", "metrics.json", "provenance.json"]
)
def test_load_checkpoint_names_a_missing_or_damaged_file(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"checkpoint|labels\.json"):
        load_checkpoint(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        load_checkpoint(folder)


def test_load_checkpoint_refuses_weights_of_another_network(folder: Path) -> None:
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("layers: 1", "layers: 2"))
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(folder)


def test_load_checkpoint_refuses_weights_that_changed_after_training(folder: Path) -> None:
    weights = bytearray((folder / "model.safetensors").read_bytes())
    middle = len(weights) // 2
    weights[middle : middle + 64] = bytes(byte ^ 0x5A for byte in weights[middle : middle + 64])
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not the file that training"):
        load_checkpoint(folder)


def test_load_checkpoint_refuses_labels_that_changed_after_training(folder: Path) -> None:
    content = json.loads((folder / "labels.json").read_text())
    content["phrases"] = dict(reversed(content["phrases"].items()))
    (folder / "labels.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"labels\.json is not the file that training wrote"):
        load_checkpoint(folder)


def test_load_checkpoint_refuses_weights_that_are_not_finite(tmp_path: Path) -> None:
    save(tmp_path / "checkpoint", weight=float("nan"))
    with pytest.raises(CheckpointError, match="numbers that are not finite"):
        load_checkpoint(tmp_path / "checkpoint")


@pytest.mark.parametrize("name", ["metrics.json", "provenance.json"])
@pytest.mark.parametrize(
    "content", ["[]", "{}", "null", '{"version": 2, "weights": "", "labels": ""}']
)
def test_load_checkpoint_names_the_folder_of_a_record_of_another_shape(
    folder: Path, name: str, content: str
) -> None:
    (folder / name).write_text(content)
    with pytest.raises(CheckpointError, match=f"checkpoint is damaged: {name}: "):
        load_checkpoint(folder)


@pytest.mark.parametrize("content", [b"- a", b"", b"\xff\xfe"])
def test_load_checkpoint_refuses_a_configuration_of_another_shape(
    folder: Path, content: bytes
) -> None:
    (folder / "config.yaml").write_bytes(content)
    with pytest.raises(CheckpointError, match="checkpoint is damaged: "):
        load_checkpoint(folder)


@pytest.mark.parametrize("version", ["0.1.0", "0.1", "1.0.0"])
def test_load_checkpoint_refuses_a_version_with_another_format(folder: Path, version: str) -> None:
    path = folder / "provenance.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": version}))
    (folder / "config.yaml").write_text("of: another version")
    with pytest.raises(OtherVersionError) as refusal:
        load_checkpoint(folder)
    message = str(refusal.value)
    assert str(folder) in message
    assert f"written by exvad {version}, and this is exvad {exvad.__version__}" in message
    assert message.endswith(f"train again with this version, or load it with exvad {version}")


def test_save_checkpoint_writes_the_current_version(tmp_path: Path) -> None:
    save(tmp_path / "checkpoint", provenance={"version": "0.1.0", "weights": "old"})
    provenance = load_checkpoint(tmp_path / "checkpoint").provenance
    assert provenance["version"] == exvad.__version__
    assert provenance["weights"] != "old"


def test_load_checkpoint_names_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        load_checkpoint(tmp_path / "none")


def test_save_checkpoint_leaves_the_old_checkpoint_after_a_crash(
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


def test_save_checkpoint_on_a_full_disk_leaves_nothing_but_the_old_checkpoint(
    folder: Path, tmp_path: Path
) -> None:
    size = sum(file.stat().st_size for file in folder.iterdir())
    with small_disk(tmp_path / "disk", f"{2 * size // 1024}k") as disk:
        save(disk / "checkpoint")
        before = outputs(load_checkpoint(disk / "checkpoint"))
        (disk / "filler").write_bytes(bytes(size // 2))
        with pytest.raises(OSError, match="No space left") as caught:
            save(disk / "other", seed=1)
        assert caught.value.filename == str(disk / "other")
        assert [path for path in disk.iterdir() if path.name.startswith(".")] == []
        assert torch.equal(outputs(load_checkpoint(disk / "checkpoint")), before)


def test_trained_config_needs_no_weights_but_all_files(folder: Path) -> None:
    (folder / MODEL).write_bytes(b"")
    assert trained_config(folder).train == config().train
    (folder / "config.yaml").write_text("train: [")
    with pytest.raises(CheckpointError, match=f"{folder} is damaged: .*not YAML"):
        trained_config(folder)
    (folder / MODEL).unlink()
    with pytest.raises(CheckpointError, match="no checkpoint"):
        trained_config(folder)


def test_a_checkpoint_in_a_bucket_is_written_once_with_a_local_copy(folder: Path) -> None:
    checkpoint = load_checkpoint(folder)
    place = resolve_place("memory://checkpoints/once")
    with saved_checkpoint(place, checkpoint) as copy:
        assert load_checkpoint(copy).name == load_checkpoint(folder).name
        for name in FILES:
            assert (place / name).read_bytes() == (copy / name).read_bytes()
    assert not copy.exists()
    with saved_checkpoint(folder, checkpoint) as local:
        assert local == folder
    assert folder.is_dir()
