"""The state of a training on Ray Train is loaded where it was not made."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray.train
import torch

from exvad.data.storage.places import resolve_place
from exvad.training.data import TrainingData
from exvad.training.fitting import train_network
from exvad.training.worker import SNAPSHOT, STATE_FILE, check_snapshot, load_state
from tests.helpers.planted import config, directions, examples


def test_load_state_loads_the_state_of_a_gpu_on_a_machine_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = TrainingData(examples(8, seed=1), examples(8, seed=2))
    state = train_network(config("train.epochs=1"), torch.from_numpy(directions()), data)
    # Tensors are saved with the name of their device. There is no GPU here to save them from.
    monkeypatch.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
    torch.save(state.to_dict(), tmp_path / STATE_FILE)
    loaded = load_state(ray.train.Checkpoint.from_directory(tmp_path))
    assert loaded is not None
    assert loaded.history == state.history
    for name, weight in state.weights.items():
        assert torch.equal(loaded.weights[name], weight)


@pytest.mark.parametrize("content", [b"", b"PK\3\4cut short", b"\xff\x00garbage", None])
def test_load_state_says_what_to_do_about_a_damaged_state(
    tmp_path: Path, content: bytes | None
) -> None:
    folder = tmp_path / "train/checkpoint_1"
    folder.mkdir(parents=True)
    if content is not None:
        (folder / STATE_FILE).write_bytes(content)
    with pytest.raises(ValueError, match=f"state.pt is damaged: delete {tmp_path}/train, and"):
        load_state(ray.train.Checkpoint.from_directory(folder))


@pytest.mark.parametrize(
    "content", [[1, 2], {"weights": 1}, torch.zeros(3), "text", {"weights": {}, "epoch": 0}]
)
def test_load_state_takes_another_file_of_torch_for_damaged(
    tmp_path: Path, content: object
) -> None:
    folder = tmp_path / "train/checkpoint_1"
    folder.mkdir(parents=True)
    torch.save(content, folder / STATE_FILE)
    with pytest.raises(ValueError, match=f"state.pt is damaged: delete {tmp_path}/train, and"):
        load_state(ray.train.Checkpoint.from_directory(folder))


def test_load_state_refuses_a_state_with_zeros_in_it(tmp_path: Path) -> None:
    data = TrainingData(examples(8, seed=1), examples(8, seed=2))
    state = train_network(config("train.epochs=1"), torch.from_numpy(directions()), data)
    folder = tmp_path / "train/checkpoint_1"
    folder.mkdir(parents=True)
    state.save(folder / STATE_FILE)
    content = bytearray((folder / STATE_FILE).read_bytes())
    third = len(content) // 3
    content[third : 2 * third] = bytes(third)
    (folder / STATE_FILE).write_bytes(content)
    with pytest.raises(ValueError, match=f"state.pt is damaged: delete {tmp_path}/train, and"):
        load_state(ray.train.Checkpoint.from_directory(folder))


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b'{"ray_version": ', b"5", b"[1]"])
def test_check_snapshot_refuses_a_damaged_list_of_states(tmp_path: Path, content: bytes) -> None:
    folder = resolve_place(tmp_path)
    check_snapshot(folder)
    (folder / SNAPSHOT).write_json({"checkpoint_results": []})
    check_snapshot(folder)
    (folder / SNAPSHOT).write_bytes(content)
    with pytest.raises(ValueError, match=f"{SNAPSHOT} is damaged: .*; delete {tmp_path}, and"):
        check_snapshot(folder)
