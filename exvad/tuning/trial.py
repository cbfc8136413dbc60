"""One trial: a training with one draw of the search space, reported after every epoch."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from ray import tune

from exvad.config import Config, override_config
from exvad.training.data import training_data
from exvad.training.fitting import FitState, OnEpoch, Replica, train_network

if TYPE_CHECKING:
    from exvad.data.manifest import Manifest
    from exvad.laam.run_labels import RunLabels
    from exvad.store.feature_bank import FeatureBank

WEIGHTS = "weights.pt"


def train_once(
    config: Config,
    bank: FeatureBank,
    manifest: Manifest,
    labels: RunLabels,
    on_epoch: OnEpoch | None = None,
) -> FitState:
    """Train a detector in this process.

    Args:
        config: the configuration of the training.
        bank: features of the training and validation videos.
        manifest: the data set.
        labels: its classes with their vectors.
        on_epoch: called with the state after every epoch.

    Returns:
        The state after the last epoch.
    """
    return train_network(
        config,
        torch.from_numpy(labels.embeddings(config)),
        training_data(bank, manifest, config),
        replica=Replica.alone(config.train),
        on_epoch=on_epoch,
    )


def run_trial(
    drawn: dict[str, Any],
    config: Config,
    bank: FeatureBank,
    manifest: Manifest,
    labels: RunLabels,
) -> None:
    """Run one trial inside Ray Tune; the best epoch so far is its checkpoint.

    Args:
        drawn: the draw of the search space, dotted key → value.
        config: the configuration of the sweep, which the draw overrides.
        bank: features of the training and validation videos.
        manifest: the data set.
        labels: its classes with their vectors.
    """
    torch.set_num_threads(1)
    train_once(override_config(config, drawn), bank, manifest, labels, _report_epoch)


def _report_epoch(state: FitState) -> None:
    last, best = state.history[-1], state.best_metrics
    metrics = {
        **last,
        "best_epoch": best["epoch"],
        "best_val_auc": best["val_auc"],
        "best_val_map": best["val_map"],
        "score": (best["val_auc"] + best["val_map"]) / 2,
    }
    if last["epoch"] != best["epoch"]:
        tune.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.save(state.best_weights, Path(folder) / WEIGHTS)
        tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))
