"""Validation metrics from video labels, and how they rank epochs."""

from __future__ import annotations

import torch

from exvad.inference.network import build_network
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


def test_selection_rank_prefers_auc_and_map_and_then_a_low_loss() -> None:
    better = {"val_auc": 0.9, "val_map": 0.8, "val_loss": 2.0}
    worse = {"val_auc": 0.9, "val_map": 0.7, "val_loss": 1.0}
    assert selection_rank(better) > selection_rank(worse)
    assert selection_rank({**better, "val_loss": 1.0}) > selection_rank(better)
