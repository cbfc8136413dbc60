"""The data of a run: a manifest, and the features of the videos that are complete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exvad.config import Config, load_config
from exvad.data.dataset import run_manifest_path
from exvad.data.manifest import Manifest
from exvad.data.manifest_files import write_manifest
from exvad.data.records import Video
from exvad.store.feature_bank import FeatureBank
from exvad.store.run_data import RunData
from exvad.store.store import Store
from tests.helpers.feature_store import add_vision

MANIFEST = Manifest(
    ("Normal", "Fighting"),
    (
        Video("a", "/v/a.mp4", "train", ("Normal",)),
        Video("b", "/v/b.mp4", "val", ("Fighting",)),
        Video("c", "/v/c.mp4", "train", ("Fighting",)),
    ),
)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    overrides = ["model.text=none", "data.crops=5", "data.test_crop=1"]
    settings = load_config("demo", [f"run={tmp_path}", *overrides])
    write_manifest(MANIFEST, run_manifest_path(settings))
    return settings


def test_load_reads_the_splits_and_lists_missing_videos(config: Config) -> None:
    store = Store(config.store_path)
    for video in ("a", "b"):
        add_vision(store, video, (4, 2), crop=1)
    data = RunData.load(config)
    assert data.manifest == MANIFEST
    assert list(data.bank) == ["a", "b"]
    assert data.missing == {"c": "no features"}
    assert list(RunData.load(config, ("val",)).bank) == ["b"]


def test_read_returns_the_test_crop(config: Config) -> None:
    store = Store(config.store_path)
    features = {crop: add_vision(store, "a", (4,), crop) for crop in range(5)}
    data = RunData.read(MANIFEST, store, config, ("train",))
    assert data.bank["a"].visual.tobytes() == features[1].tobytes()


def test_load_says_what_to_do_without_features(config: Config) -> None:
    add_vision(Store(config.store_path), "b", (4,), crop=1)
    with pytest.raises(
        ValueError, match=r"no train video has the features that model\.text=none"
    ) as error:
        RunData.load(config, ("train",))
    assert str(error.value).endswith("needs: preprocess or import them")


def test_load_says_what_to_do_without_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run `exvad preprocess`"):
        RunData.load(load_config("demo", [f"run={tmp_path}"]))


def test_crops_are_put_side_by_side_in_their_order(config: Config) -> None:
    store = Store(config.store_path)
    for video, crops in (("a", range(3)), ("b", range(3)), ("c", range(2))):
        for crop in crops:
            add_vision(store, video, (4, 2), crop=crop)
    data = RunData.read(MANIFEST, store, config, stacked=3)
    assert set(data.bank) == {"a", "b"}
    assert list(data.missing) == ["c"]
    for crop in range(3):
        single = FeatureBank.build(store, ["a", "b"], crop=crop)
        part = slice(crop * single.width, (crop + 1) * single.width)
        np.testing.assert_array_equal(data.bank["b"].visual[:, part], single["b"].visual)
    with pytest.raises(ValueError, match="features of 10 crops"):
        RunData.read(MANIFEST, store, config, stacked=10)
