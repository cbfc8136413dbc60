"""Training and selection examples of a data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.store.run_data import RunData
from exvad.training.data import training_data
from tests.helpers.planted import config, plant_run


def test_training_data_divides_the_videos_by_split(tmp_path: Path) -> None:
    settings = config(f"run={plant_run(tmp_path, videos=20, validation=0.3)}")
    data = RunData.load(settings, ("train", "val"))
    examples = training_data(data.bank, data.manifest, settings)
    split = {video.video_id: video.split for video in data.manifest.videos}
    assert {split[example.video_id] for example in examples.train} == {"train"}
    assert {split[example.video_id] for example in examples.select} == {"val"}
    assert len(examples.train) + len(examples.select) == 20


def test_training_data_uses_other_crops_for_training_only(tmp_path: Path) -> None:
    settings = config(f"run={plant_run(tmp_path, videos=20, validation=0.3)}")
    data = RunData.load(settings, ("train", "val"))
    one = training_data(data.bank, data.manifest, settings)
    two = training_data(data.bank, data.manifest, settings, [data.bank])
    assert len(two.train) == 2 * len(one.train)
    assert len(two.select) == len(one.select)


def test_training_data_requires_selection_examples(tmp_path: Path) -> None:
    settings = config(
        f"run={plant_run(tmp_path, videos=20, validation=0.3)}", "train.select_on=test"
    )
    data = RunData.load(settings, ("train", "val"))
    with pytest.raises(ValueError, match=r"0 test videos have features: .*data\.validation"):
        training_data(data.bank, data.manifest, settings)
