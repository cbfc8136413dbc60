"""The state of a trial in its checkpoints: what a trial that is started again finds."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest
import torch
from pyarrow import fs

from exvad.config import Config
from exvad.data.manifest import Manifest
from exvad.laam.run_labels import RunLabels
from exvad.store.feature_bank import FeatureBank
from exvad.training.fitting import FitState
from exvad.tuning.inputs import SweepInputs, load_bank
from exvad.tuning.trial import train_once
from exvad.tuning.trial_state import (
    RESULT_FILE,
    STATE_FILE,
    FailedBeforeError,
    StateWriter,
    error_written_down,
    read_trial_state,
)
from tests.helpers.planted import config, plant_run

Training = tuple[Config, FeatureBank, Manifest, RunLabels]


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """The inputs of a training of three epochs."""
    folder = tmp_path_factory.mktemp("run")
    plant_run(folder, videos=24, validation=0.3)
    settings = config(f"run={folder}/run", "labels.k=0", "train.epochs=3")
    inputs = SweepInputs.find(settings, {})
    return settings, load_bank(inputs, settings), inputs.manifest, inputs.labels


@pytest.fixture(scope="module")
def states(training: Training) -> list[FitState]:
    """The states after the three epochs of the training."""
    states: list[FitState] = []
    # The optimizer goes on working in the same tensors.
    train_once(*training, on_epoch=lambda state: states.append(copy.deepcopy(state)))
    return states


def store(folder: Path, number: int, writer: StateWriter, state: FitState) -> bool:
    """Store what the writer yields for a state as Ray Tune does; return whether there was any."""
    with writer.checkpoint(state, state.history[-1]) as checkpoint:
        if checkpoint is not None:
            target = folder / f"checkpoint_{number:06d}"
            shutil.copytree(checkpoint.path, target)
    return checkpoint is not None


def test_trial_without_a_checkpoint_starts_at_the_first_epoch(tmp_path: Path) -> None:
    before = read_trial_state(str(tmp_path / "missing"))
    assert before.fit is None
    assert before.result is None


def test_interrupted_training_ends_like_an_undisturbed_one(
    training: Training, states: list[FitState], tmp_path: Path
) -> None:
    assert store(tmp_path, 0, StateWriter(epochs=3, last_written=-1e9), states[1])
    before = read_trial_state(str(tmp_path)).fit
    assert before is not None
    assert len(before.history) == 2
    end = train_once(*training, resume=before)
    assert end.history == states[2].history
    assert all(torch.equal(end.weights[name], states[2].weights[name]) for name in end.weights)


def test_ended_trial_is_known_by_its_result(states: list[FitState], tmp_path: Path) -> None:
    writer = StateWriter(epochs=3, last_written=-1e9)
    assert store(tmp_path, 0, writer, states[0])
    assert store(tmp_path, 1, writer, states[2])
    before = read_trial_state(str(tmp_path))
    assert before.fit is None
    assert before.result == states[2].history[-1]


def test_states_are_not_written_after_every_short_epoch(
    states: list[FitState], tmp_path: Path
) -> None:
    writer = StateWriter(epochs=3)
    assert not store(tmp_path, 0, writer, states[0])
    assert store(tmp_path, 1, writer, states[2])


@pytest.mark.parametrize("name", [STATE_FILE, RESULT_FILE])
@pytest.mark.parametrize("size", [0, 100])
def test_checkpoint_that_was_being_written_is_passed_over(
    states: list[FitState], tmp_path: Path, name: str, size: int
) -> None:
    assert store(tmp_path, 0, StateWriter(epochs=3, last_written=-1e9), states[0])
    whole = (tmp_path / "checkpoint_000000" / STATE_FILE).read_bytes()
    broken = tmp_path / "checkpoint_000001" / name
    broken.parent.mkdir()
    broken.write_bytes(whole[:size] if name == STATE_FILE else b"{" * size)
    before = read_trial_state(str(tmp_path)).fit
    assert before is not None
    assert len(before.history) == 1


def test_trial_that_raised_an_error_fails_at_once_with_the_same_words(tmp_path: Path) -> None:
    folder = str(tmp_path)
    with (
        pytest.raises(ValueError, match=r"^lower it$"),
        error_written_down(folder, fs.LocalFileSystem()),
    ):
        raise ValueError("lower it")
    with pytest.raises(FailedBeforeError, match=r"^ValueError: lower it$"):
        read_trial_state(folder)
