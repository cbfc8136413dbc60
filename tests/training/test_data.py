"""Training and selection examples of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from exvad.config import Config
from exvad.data.dataset import read_run_manifest
from exvad.laam.run_labels import RunLabels
from exvad.store.examples import Example, make_example
from exvad.store.feature_bank import FeatureBank
from exvad.store.run_data import RunData
from exvad.store.store import Store
from exvad.training.batches import worker_batches
from exvad.training.data import TrainingData, labels_of, training_data, worker_data
from exvad.training.fitting import FitState, train_network
from exvad.training.videos import TrainingVideos
from tests.helpers.planted import WIDTH, config, plant_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 40 videos of 20 snippets and two crops."""
    return plant_run(tmp_path_factory.mktemp("run"), videos=40, validation=0.3, crops=5)


@pytest.fixture
def settings(run: Path) -> Config:
    """Videos longer than `max_snippets`, in batches that do not fit evenly."""
    overrides = ["data.crops=5", "data.test_crop=1", "labels.k=0", "model.max_snippets=16"]
    return config(f"run={run}", "train.epochs=2", "train.batch_size=9", *overrides)


def load(settings: Config, rank: int = 0, workers: int = 1) -> TrainingData:
    """Load the data of a worker from the store of a run."""
    store = Store(settings.store_path)
    manifest = RunData.load(settings).manifest
    videos = TrainingVideos.find(manifest, store, settings)
    return worker_data(store, videos, settings, rank, workers)


def train(settings: Config, data: TrainingData, resume: FitState | None = None) -> FitState:
    """Train in this process."""
    labels = RunLabels.load(settings, read_run_manifest(settings).classes)
    label_CD = torch.from_numpy(labels.embeddings(settings))
    return train_network(settings, label_CD, data, resume=resume)


def with_memory(settings: Config, gib: float) -> Config:
    """Return the configuration with another limit of the memory."""
    return settings.model_copy(
        update={"train": settings.train.model_copy(update={"cache_gib": gib})}
    )


def test_training_data_divides_the_videos_by_split(settings: Config) -> None:
    data = RunData.load(settings, ("train", "val"))
    examples = training_data(data.bank, data.manifest, settings)
    split = {video.video_id: video.split for video in data.manifest.videos}
    assert {split[example.video_id] for example in examples.train} == {"train"}
    assert {split[example.video_id] for example in examples.select} == {"val"}
    assert len(examples.train) + len(examples.select) == 40


def test_worker_data_uses_other_crops_for_training_only(settings: Config) -> None:
    data = RunData.load(settings, ("train", "val"))
    one = training_data(data.bank, data.manifest, settings)
    five = load(settings)
    assert len(five.train) == 5 * len(one.train)
    assert len(five.select) == len(one.select)
    for split in ("train", "select"):
        pairs = zip(getattr(one, split), getattr(five, split), strict=False)
        for expected, example in pairs:
            assert example.video_id == expected.video_id
            np.testing.assert_array_equal(example.visual_TD, expected.visual_TD)


def test_training_data_requires_selection_examples(settings: Config) -> None:
    on_test = settings.model_copy(
        update={"train": settings.train.model_copy(update={"select_on": "test"})}
    )
    data = RunData.load(settings, ("train", "val"))
    with pytest.raises(ValueError, match=r"0 test videos have features: .*data\.validation"):
        training_data(data.bank, data.manifest, on_test)
    with pytest.raises(ValueError, match=r"0 test videos have features: .*data\.validation"):
        load(on_test)


def made_at_once(settings: Config) -> TrainingData:
    """Make all examples in float32 before the training, as version 0.1 did."""
    data = RunData.load(settings, ("train", "val"))
    ids = [video.video_id for video in data.manifest.videos]
    banks = [FeatureBank.build(Store(settings.store_path), ids, crop=c) for c in (1, 0, 2, 3, 4)]

    def examples(split: str, banks: Sequence[FeatureBank]) -> list[Example]:
        return [
            make_example(bank[video.video_id], data.manifest.target(video), 16)
            for bank in banks
            for video in data.manifest.videos
            if video.split == split
        ]

    return TrainingData(examples("train", banks), examples("val", banks[:1]))


def assert_equal(one: FitState, other: FitState) -> None:
    assert one.history == other.history
    for name, tensor in one.weights.items():
        assert torch.equal(tensor, other.weights[name]), name


@pytest.mark.parametrize("kib", [0, 40, 2**20])
def test_training_does_not_depend_on_the_memory_and_is_that_of_version_0_1(
    settings: Config, kib: float
) -> None:
    bounded = with_memory(settings, kib / 2**20)
    assert_equal(train(bounded, load(bounded)), train(settings, made_at_once(settings)))


def test_training_resumes_exactly_with_another_memory(settings: Config) -> None:
    first_epoch = settings.model_copy(
        update={"train": settings.train.model_copy(update={"epochs": 1})}
    )
    half = train(first_epoch, load(first_epoch))
    on_disk = with_memory(settings, 0)
    resumed = train(on_disk, load(on_disk), FitState.from_dict(half.to_dict()))
    assert_equal(resumed, train(settings, load(settings)))


def test_workers_read_disjoint_shares_and_all_examples_together(settings: Config) -> None:
    trained: list[str] = []
    alone = load(settings)
    for rank in range(3):
        data = load(with_memory(settings, 0), rank, 3)
        ids, targets_NC = labels_of(data.train)
        all_ids, all_targets_NC = labels_of(alone.train)
        assert list(ids) == list(all_ids)
        np.testing.assert_array_equal(targets_NC, all_targets_NC)
        own = np.concatenate(worker_batches(ids, targets_NC, 9, True, 0, 0, rank, 3))
        for row in own:
            np.testing.assert_array_equal(data.train[row].visual_TD, alone.train[row].visual_TD)
            trained.append(f"{row}")
        for row in set(range(len(ids))) - set(own.tolist()):
            with pytest.raises(KeyError):
                data.train[row]
        for row in range(rank, len(data.select), 3):
            assert data.select[row].visual_TD.shape == (16, WIDTH)
    assert sorted(trained) == sorted(str(row) for row in range(len(alone.train)))


def test_workers_must_not_outnumber_the_videos(settings: Config) -> None:
    many = settings.model_copy(update={"train": settings.train.model_copy(update={"workers": 99})})
    with pytest.raises(ValueError, match=r"train\.workers is 99, .* only 30 training videos"):
        load(many)
