"""One trial: a training with one draw of the space, reported after every epoch."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.laam.run_labels import RunLabels
    from exvad.store.feature_bank import FeatureBank
    from exvad.training.fitting import FitState, OnEpoch

STATE = "state.pt"


def drawn_overrides(drawn: dict[str, Any]) -> list[str]:
    """Return a draw of the space as dotted overrides."""
    return [f"{key}={value}" for key, value in drawn.items()]


def train_once(
    config: Config,
    bank: FeatureBank,
    manifest: Manifest,
    labels: RunLabels,
    on_epoch: OnEpoch | None = None,
) -> FitState:
    """Train with one configuration."""
    import torch

    from exvad.inference.network import build_network
    from exvad.training.fitting import fit, training_data

    label_CD = torch.from_numpy(labels.embeddings(config))
    torch.manual_seed(config.train.seed)
    device = torch.device("cuda" if config.train.gpu else "cpu")
    network = build_network(config, bank.width, len(label_CD))
    data = training_data(bank, manifest, config)
    return fit(network, label_CD, data, config, device=device, on_epoch=on_epoch)


def trial(
    drawn: dict[str, Any],
    preset: str,
    overrides: Sequence[str],
    bank: FeatureBank,
    manifest: Manifest,
    labels: RunLabels,
) -> None:
    """Run one trial inside Ray Tune; the best epoch so far is its checkpoint."""
    import torch
    from ray import tune

    from exvad.config import load_config

    torch.set_num_threads(1)
    config = load_config(preset, [*overrides, *drawn_overrides(drawn)])

    def report(state: FitState) -> None:
        now, best = state.history[-1], state.best
        figures = {
            **now,
            "best_epoch": best["epoch"],
            "best_val_auc": best["val_auc"],
            "best_val_map": best["val_map"],
            "score": (best["val_auc"] + best["val_map"]) / 2,
        }
        if now["epoch"] != best["epoch"]:
            tune.report(figures)
            return
        with tempfile.TemporaryDirectory() as folder:
            torch.save(state.best_weights, Path(folder) / STATE)
            tune.report(figures, checkpoint=tune.Checkpoint.from_directory(folder))

    train_once(config, bank, manifest, labels, report)
