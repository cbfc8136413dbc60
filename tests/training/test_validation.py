"""Validation metrics from video labels, and how they rank epochs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exvad.baselines.common.fitting import DivergedError
from exvad.inference.network import build_network
from exvad.inference.prediction import Prediction, predict
from exvad.training.replica import Replica
from exvad.training.validation import selection_rank, validate
from tests.helpers.planted import CLASSES, WIDTH, config, directions, examples

LABELS = torch.from_numpy(directions())


def test_validate_restores_the_training_mode_and_returns_metrics() -> None:
    torch.manual_seed(0)
    network = build_network(config(), WIDTH, len(CLASSES)).train()
    videos = examples(12, seed=1)
    predictions, metrics = validate(network, LABELS, videos, config())
    assert network.training
    assert len(predictions) == len(videos)
    assert set(metrics) == {"val_auc", "val_map", "val_accuracy", "val_loss"}
    assert all(0 <= metrics[name] <= 1 for name in ("val_auc", "val_map", "val_accuracy"))
    assert metrics["val_loss"] > 0


def test_validate_gives_an_auc_of_one_half_without_both_kinds_of_videos() -> None:
    network = build_network(config(), WIDTH, len(CLASSES))
    normal = [video for video in examples(12, seed=1) if video.target_C[0] == 1]
    assert validate(network, LABELS, normal, config())[1]["val_auc"] == 0.5


def test_validate_says_what_to_do_where_scores_are_not_finite() -> None:
    network = build_network(config(), WIDTH, len(CLASSES))
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match="scores of 12 of 12 selection videos are not finite"):
        validate(network, LABELS, examples(12, seed=1), config())


def test_selection_rank_prefers_auc_and_map_and_then_a_low_loss() -> None:
    better = {"val_auc": 0.9, "val_map": 0.8, "val_loss": 2.0}
    worse = {"val_auc": 0.9, "val_map": 0.7, "val_loss": 1.0}
    assert selection_rank(better) > selection_rank(worse)
    assert selection_rank({**better, "val_loss": 1.0}) > selection_rank(better)


def test_validate_of_two_workers_has_the_metrics_of_one() -> None:
    torch.manual_seed(0)
    network = build_network(config(), WIDTH, len(CLASSES))
    videos = examples(13, seed=1)
    predictions, metrics = validate(network, LABELS, videos, config())
    of_the_other = predict(network, LABELS, videos[1::2], config().model.tau)
    replica = Replica(rank=0, world_size=2, gather=lambda mine: [mine, of_the_other])
    divided, metrics_of_two = validate(network, LABELS, videos, config(), replica)
    assert metrics_of_two == pytest.approx(metrics, abs=1e-5)
    for one, two in zip(predictions, divided, strict=True):
        np.testing.assert_allclose(one.probabilities_TC, two.probabilities_TC, atol=1e-5)


def test_worker_predicts_its_share_of_the_selection_examples_only() -> None:
    network = build_network(config(), WIDTH, len(CLASSES))
    videos, shares = examples(13, seed=1), []

    def gather(mine: list[Prediction]) -> list[list[Prediction]]:
        shares.append(len(mine))
        return [mine * 2, mine * 2]

    for rank in (0, 1):
        validate(network, LABELS, videos, config(), Replica(rank=rank, world_size=2, gather=gather))
    assert shares == [7, 6]
