"""A network is told the widths, mean and variance of the features that it is trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from exvad.inference.network import build_network, load_network
from exvad.store.examples import Example
from exvad.training.data import TrainingData
from exvad.training.fitting import best_network, train_network
from exvad.training.inputs import feature_widths, set_statistics
from exvad.training.replica import Replica
from tests.helpers.planted import WIDTH, config, directions, examples

STANDARDISED = ("model.features=standardised", "model.text=explanation")


def with_texts(count: int, seed: int, width: int) -> list[Example]:
    """Return planted examples that are far from 0, with texts of another width."""
    rng = np.random.default_rng(seed)
    return [
        replace(e, visual_TD=20 + 3 * e.visual_TD, text=rng.normal(size=width).astype(np.float32))
        for e in examples(count, seed)
    ]


def test_set_statistics_reads_those_of_the_training_videos() -> None:
    videos = with_texts(12, 1, 6)
    assert feature_widths(videos, Replica(), "explanation") == (WIDTH, 6)
    assert feature_widths(videos, Replica(), "grounded") == (WIDTH, 5), "without the votes"
    network = build_network(config(*STANDARDISED), WIDTH, 5, WIDTH, 6)
    set_statistics(network, torch.from_numpy(directions()), videos, Replica())
    assert network.visual_input is not None
    rows_ND = np.concatenate([video.visual_TD for video in videos])
    mean_D = network.visual_input.mean_D.numpy()
    np.testing.assert_allclose(mean_D, rows_ND.mean(0), rtol=1e-4)
    scale_D = network.visual_input.scale_D.numpy()
    np.testing.assert_allclose(scale_D, 1 / rows_ND.std(0), rtol=1e-4)


def test_statistics_and_widths_are_part_of_the_trained_weights() -> None:
    data = TrainingData(with_texts(8, 1, 6), with_texts(8, 2, 6))
    settings, label_CD = config("train.epochs=1", *STANDARDISED), torch.from_numpy(directions())
    state = train_network(settings, label_CD, data)
    trained = best_network(settings, label_CD, state)
    loaded = load_network(settings, label_CD, state.best_weights)
    for network in (trained, loaded):
        assert network.visual_input is not None
        assert network.text_input is not None
        assert network.text_input.mean_D.shape == (6,)
        assert bool((network.visual_input.mean_D > 10).all())


def test_a_worker_reads_examples_of_its_own_only() -> None:
    videos = with_texts(8, 1, 6)
    read: list[str] = []

    class Recorded(list[Example]):
        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            read.append(videos[index].video_id)
            return videos[index]

    replica = Replica(rank=1, world_size=2)
    network = build_network(config(*STANDARDISED), WIDTH, 5, WIDTH, 6)
    set_statistics(network, torch.from_numpy(directions()), Recorded(videos), replica)
    assert 0 < len(set(read)) < len(videos)
