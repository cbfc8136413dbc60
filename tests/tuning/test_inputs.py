"""What a sweep needs is checked by names and keys, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.store.feature_bank import FeatureBank
from exvad.tuning.inputs import SweepInputs, load_bank
from exvad.tuning.space import Dimension, IntRange
from tests.helpers.planted import config, plant_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with planted features and labels in `run`."""
    folder = tmp_path_factory.mktemp("inputs")
    plant_run(folder, videos=20, validation=0.4, phrases=1, tests=4)
    return folder


def test_inputs_are_found_without_reading_features(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(f"run={folder}/run", "labels.k=0")
    with monkeypatch.context() as patched:
        patched.setattr(FeatureBank, "build", None)
        inputs = SweepInputs.find(settings, {})
    assert len(inputs.video_ids) == 16
    assert set(inputs.train_ids) < set(inputs.video_ids)
    assert list(load_bank(inputs, settings)) == list(inputs.video_ids)


def test_inputs_refuse_more_phrases_than_a_class_has(folder: Path) -> None:
    space: dict[str, Dimension] = {"labels.k": IntRange(type="int", low=1, high=2)}
    with pytest.raises(ValueError, match="up to 2, but a class has only 1 phrases"):
        SweepInputs.find(config(f"run={folder}/run"), space)


def test_inputs_refuse_a_start_that_no_class_has_phrases_for(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"k = 4, .* fewer phrases"):
        SweepInputs.find(config(f"run={folder}/run", "labels.k=4"), {})


@pytest.mark.parametrize("key", ["clip.model", "model.text"])
def test_inputs_refuse_settings_that_the_features_depend_on(folder: Path, key: str) -> None:
    space: dict[str, Dimension] = {key: IntRange(type="int", low=1, high=2)}
    with pytest.raises(ValueError, match=rf"{key}: a sweep draws train"):
        SweepInputs.find(config(f"run={folder}/run"), space)


@pytest.mark.parametrize("key", ["train.seed", "train.workers", "train.scratch", "train.gpu"])
def test_inputs_refuse_settings_that_trials_do_not_differ_in(folder: Path, key: str) -> None:
    space: dict[str, Dimension] = {key: IntRange(type="int", low=1, high=2)}
    with pytest.raises(ValueError, match=rf"^{key}: a sweep can't draw this"):
        SweepInputs.find(config(f"run={folder}/run", "labels.k=0"), space)


def test_inputs_refuse_a_run_without_features_of_videos_to_validate_on(tmp_path: Path) -> None:
    plant_run(tmp_path, videos=10, validation=0, phrases=1)
    with pytest.raises(ValueError, match=r"10 training and 0 val videos have features"):
        SweepInputs.find(config(f"run={tmp_path}/run", "labels.k=0"), {})
    other_crop = config(f"run={tmp_path}/run", "labels.k=0", "data.crops=5", "data.test_crop=3")
    with pytest.raises(ValueError, match=r"no train or val video has the features"):
        SweepInputs.find(other_crop, {})
