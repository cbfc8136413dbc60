"""Which videos are trained on, and what is said of those that are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.config import Config, load_config
from exvad.data.manifest import Manifest
from exvad.data.records import Video
from exvad.store.completeness import MissingFeaturesError
from exvad.store.store import Store
from exvad.training.videos import TrainingVideos
from tests.helpers.feature_store import add_vision

MANIFEST = Manifest(
    ("Normal", "Fighting"),
    (
        Video("a", "/v/a.mp4", "train", ("Normal",)),
        Video("b", "/v/b.mp4", "val", ("Fighting",)),
        Video("c", "/v/c.mp4", "train", ("Fighting",)),
        Video("d", "/v/d.mp4", "test", ("Fighting",)),
    ),
)


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    overrides = ["model.text=none", "data.crops=5", "data.test_crop=2"]
    return load_config("demo", [f"run={tmp_path}", *overrides])


def test_find_returns_all_crops_of_training_videos_and_lists_missing_ones(
    settings: Config,
) -> None:
    store = Store(settings.store_path)
    for crop in range(5):
        add_vision(store, "a", (4, 2), crop)
    add_vision(store, "b", (4,), crop=2)
    add_vision(store, "d", (4,), crop=2)
    videos = TrainingVideos.find(MANIFEST, store, settings)
    assert videos.crops == (2, 0, 1, 3, 4)
    assert videos.lengths == {**{("a", crop): 6 for crop in range(5)}, ("b", 2): 4}
    assert videos.missing == {"c": "no features"}
    assert [video.video_id for video in videos.of_split("train")] == ["a"]
    assert [video.video_id for video in videos.of_split("val")] == ["b"]


def test_one_sided_names_what_the_training_videos_lack(settings: Config) -> None:
    store = Store(settings.store_path)
    add_vision(store, "b", (4,), crop=2)
    for crop in range(5):
        add_vision(store, "c", (4,), crop)
    abnormal = TrainingVideos.find(MANIFEST, store, settings).one_sided()
    assert abnormal is not None
    assert abnormal.startswith("the training videos (1) are all abnormal")
    assert abnormal.endswith("add normal videos")
    for crop in range(5):
        add_vision(store, "a", (4,), crop)
    assert TrainingVideos.find(MANIFEST, store, settings).one_sided() is None


def test_find_refuses_a_video_that_lacks_a_crop(settings: Config) -> None:
    store = Store(settings.store_path)
    add_vision(store, "a", (4,), crop=2)
    with pytest.raises(MissingFeaturesError, match="a, crop 0: no features"):
        TrainingVideos.find(MANIFEST, store, settings)


def test_find_says_what_to_do_without_features(settings: Config) -> None:
    store = Store(settings.store_path)
    add_vision(store, "d", (4,), crop=2)
    with pytest.raises(ValueError, match=r"no train or val video has .* model\.text=none needs"):
        TrainingVideos.find(MANIFEST, store, settings)
