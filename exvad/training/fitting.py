"""Fitting: epochs, validation, choice of the best epoch, and going on after an interruption.

jobs/train.py runs it inside Ray Train workers, tune/sweep.py inside trials, tests without Ray.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from exvad.inference.calibration import Calibration, calibrate
from exvad.inference.prediction import BRANCHES, Prediction, predict
from exvad.store.examples import Example, make_example
from exvad.training.trainer import Progress, Trainer

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.modeling.exvad import ExVAD
    from exvad.store.feature_bank import FeatureBank

WeightsDict = dict[str, torch.Tensor]


@dataclass(frozen=True)
class TrainingData:
    """Examples to learn from and examples to choose the epoch by."""

    train: Sequence[Example]
    select: Sequence[Example]


@dataclass
class FitState:
    """All it takes to go on: of the last finished epoch, and of the best one so far."""

    weights: WeightsDict
    progress: Progress
    best_weights: WeightsDict
    best: dict[str, float]
    calibration: Calibration
    history: list[dict[str, float]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values and tensors, which `torch.load(weights_only=True)` reads."""
        return {
            "weights": self.weights,
            "epoch": self.progress.epoch,
            "optimizer": self.progress.optimizer,
            "scheduler": self.progress.scheduler,
            "best_weights": self.best_weights,
            "best": self.best,
            "calibration": self.calibration.model_dump(),
            "history": self.history,
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> FitState:
        """Rebuild a state from `to_dict`."""
        return cls(
            saved["weights"],
            Progress(saved["epoch"], saved["optimizer"], saved["scheduler"]),
            saved["best_weights"],
            saved["best"],
            Calibration.model_validate(saved["calibration"]),
            saved["history"],
        )


OnEpoch = Callable[[FitState], None]


def training_data(
    bank: FeatureBank, manifest: Manifest, config: Config, more_crops: Sequence[FeatureBank] = ()
) -> TrainingData:
    """Make the examples of a data set; videos the bank lacks are left out.

    Args:
        bank: features of the crop that is tested on.
        manifest: the data set.
        config: the configuration.
        more_crops: the other crops, from which only training takes examples.

    Raises:
        ValueError: nothing is left to train on or to choose by.
    """
    limit = config.model.max_snippets

    def of(split: str, banks: Sequence[FeatureBank]) -> list[Example]:
        videos = [v for v in manifest.videos if v.split == split]
        return [
            make_example(own[v.video_id], manifest.target(v), limit)
            for own in banks
            for v in videos
            if v.video_id in own
        ]

    data = TrainingData(of("train", [bank, *more_crops]), of(config.train.select_on, [bank]))
    if not data.train or not data.select:
        raise ValueError(
            f"{len(data.train)} training and {len(data.select)} {config.train.select_on} videos "
            "have features: preprocess more, or raise data.validation"
        )
    return data


def fit(
    network: ExVAD,
    label_CD: torch.Tensor,
    data: TrainingData,
    config: Config,
    *,
    device: torch.device | None = None,
    wrap: Callable[[torch.nn.Module], torch.nn.Module] = lambda module: module,
    rank: int = 0,
    world: int = 1,
    resume: FitState | None = None,
    on_epoch: OnEpoch | None = None,
) -> FitState:
    """Train the network and keep the epoch that does best on the selection videos.

    The best epoch has the highest mean of video-level AUC and mAP, and of equals the lowest loss:
    validation videos are weakly labelled, as training videos are.

    Args:
        network: the untrained network.
        label_CD: label embeddings F_L.
        data: the examples.
        config: the configuration.
        device: where to train; the CPU by default.
        wrap: puts the network into its data-parallel shell.
        rank: this worker's number.
        world: how many workers there are.
        resume: the state to go on from.
        on_epoch: told the state after every epoch.

    Returns:
        The state after the last epoch.
    """
    device = device or torch.device("cpu")
    network.to(device)
    if resume is not None:
        network.load_state_dict(resume.weights)
    if config.train.compile:
        # In place: the names of the weights stay, and validation runs compiled too.
        network.compile(dynamic=True)
    trainer = Trainer(wrap(network), label_CD, config.train, config.model.tau, device, rank, world)
    state = resume
    if state is not None:
        trainer.restore(state.progress)
    first = state.progress.epoch + 1 if state is not None else 0
    for epoch in range(first, config.train.epochs):
        figures = {"epoch": float(epoch + 1), **trainer.train_epoch(data.train, epoch)}
        predictions, quality = validate(network, label_CD, data.select, config)
        figures |= quality
        history = [*(state.history if state else []), figures]
        weights = _copy(network)
        if state is None or _rank(figures) > _rank(state.best):
            abnormal_N = np.array([example.target_C[0] == 0 for example in data.select])
            best = (weights, figures, calibrate(predictions, abnormal_N))
        else:
            best = (state.best_weights, state.best, state.calibration)
        state = FitState(weights, trainer.progress(epoch), *best, history)
        if on_epoch is not None:
            on_epoch(state)
    assert state is not None, "at least one epoch"
    return state


def validate(
    network: ExVAD, label_CD: torch.Tensor, examples: Sequence[Example], config: Config
) -> tuple[list[Prediction], dict[str, float]]:
    """Predict the selection videos and measure what video-level labels allow.

    Returns:
        The predictions, and `val_auc` (abnormal or not, better branch), `val_map` (mean average
        precision over the classes present), `val_accuracy` and `val_loss`.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    was_training = network.training
    predictions = predict(network, label_CD, examples, config.model.tau, config.model.max_snippets)
    network.train(was_training)
    targets_NC = np.stack([example.target_C for example in examples])
    scores_NC = np.stack([prediction.video_probabilities() for prediction in predictions])
    abnormal_N = targets_NC[:, 0] == 0
    auc = 0.5
    if abnormal_N.any() and not abnormal_N.all():
        auc = max(
            roc_auc_score(
                abnormal_N, [prediction.video_score(branch) for prediction in predictions]
            )
            for branch in BRANCHES
        )
    present = [c for c in range(targets_NC.shape[1]) if targets_NC[:, c].any()]
    precision = [average_precision_score(targets_NC[:, c], scores_NC[:, c]) for c in present]
    right = targets_NC[np.arange(len(targets_NC)), scores_NC.argmax(1)] > 0
    shares_NC = scores_NC / scores_NC.sum(1, keepdims=True)
    wanted_NC = targets_NC / targets_NC.sum(1, keepdims=True)
    loss = -(wanted_NC * np.log(np.clip(shares_NC, 1e-8, 1))).sum(1).mean()
    return predictions, {
        "val_auc": float(auc),
        "val_map": float(np.mean(precision)),
        "val_accuracy": float(right.mean()),
        "val_loss": float(loss),
    }


def _rank(figures: dict[str, float]) -> tuple[float, float]:
    return round((figures["val_auc"] + figures["val_map"]) / 2, 6), -figures["val_loss"]


def _copy(network: torch.nn.Module) -> WeightsDict:
    return copy.deepcopy({k: v.detach().cpu() for k, v in network.state_dict().items()})
