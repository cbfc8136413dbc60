"""Fitting: all epochs of a training, the choice of the best one, and resumption.

Ray Train workers, Ray Tune trials, ablations and tests all train with `train_network`.

N videos · C classes · D feature width
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import torch

from exvad.inference.calibration import Calibration, calibrate
from exvad.inference.network import build_network, load_network
from exvad.training.data import labels_of
from exvad.training.inputs import feature_widths, set_statistics
from exvad.training.replica import Replica
from exvad.training.trainer import Trainer, TrainerState
from exvad.training.validation import selection_rank, validate

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.modeling.exvad import ExVAD
    from exvad.training.data import TrainingData

Weights = dict[str, torch.Tensor]


class ForeignStateError(ValueError):
    """A state that a training shall continue from is that of another network."""


@dataclass
class FitState:
    """The state of a training after an epoch: all that resumption and the checkpoint need.

    Args:
        weights: of the network after the last epoch.
        trainer: epoch, optimizer and scheduler.
        best_weights: of the network after the best epoch so far.
        best_metrics: the metrics of that epoch: `epoch` from 1, the mean loss terms of training,
            and those of `validate`.
        calibration: branch, threshold and confidence, chosen at that epoch.
        history: the metrics of every epoch.
    """

    weights: Weights
    trainer: TrainerState
    best_weights: Weights
    best_metrics: dict[str, float]
    calibration: Calibration
    history: list[dict[str, float]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain values and tensors, for `torch.load(weights_only=True)`."""
        return {
            "weights": self.weights,
            "epoch": self.trainer.epoch,
            "optimizer": self.trainer.optimizer,
            "scheduler": self.trainer.scheduler,
            "best_weights": self.best_weights,
            "best_metrics": self.best_metrics,
            "calibration": self.calibration.model_dump(),
            "history": self.history,
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> FitState:
        """Rebuild a state from `to_dict`."""
        return cls(
            saved["weights"],
            TrainerState(saved["epoch"], saved["optimizer"], saved["scheduler"]),
            saved["best_weights"],
            saved["best_metrics"],
            Calibration.model_validate(saved["calibration"]),
            saved["history"],
        )

    def save(self, file: Path) -> None:
        """Write the state to a file."""
        torch.save(self.to_dict(), file)

    @classmethod
    def load(cls, file: Path | IO[bytes]) -> FitState:
        """Read a state that `save` wrote onto the CPU, whichever device it was on."""
        return cls.from_dict(torch.load(file, map_location="cpu", weights_only=True))


OnEpoch = Callable[[FitState], None]


def train_network(
    config: Config,
    label_CD: torch.Tensor,
    data: TrainingData,
    *,
    replica: Replica | None = None,
    resume: FitState | None = None,
    on_epoch: OnEpoch | None = None,
) -> FitState:
    """Seed torch, build the untrained network of a configuration, and fit it.

    On the CPU of one machine, equal arguments give equal results, bit for bit. On a GPU the last
    bits of weights and scores may differ from run to run.

    Args:
        config: the configuration.
        label_CD: label embeddings F_L.
        data: the examples.
        replica: this worker; None for a training in one process on the CPU.
        resume: the state to continue from; None to start at the first epoch.
        on_epoch: called with the state after every epoch.

    Returns:
        The state after the last epoch.
    """
    torch.manual_seed(config.train.seed)
    num_classes, width = label_CD.shape
    widths = feature_widths(data.train, replica or Replica(), config.model.text)
    network = build_network(config, width, num_classes, *widths)
    return fit(network, label_CD, data, config, replica=replica, resume=resume, on_epoch=on_epoch)


def best_network(config: Config, label_CD: torch.Tensor, state: FitState) -> ExVAD:
    """Build the network of a configuration with the weights of the best epoch, on the CPU.

    Args:
        config: the configuration of the training.
        label_CD: label embeddings F_L of the training.
        state: the state after the training.
    """
    return load_network(config, label_CD, state.best_weights)


def fit(
    network: ExVAD,
    label_CD: torch.Tensor,
    data: TrainingData,
    config: Config,
    *,
    replica: Replica | None = None,
    resume: FitState | None = None,
    on_epoch: OnEpoch | None = None,
) -> FitState:
    """Train a network and choose the epoch that is best on the selection examples.

    Args:
        network: the untrained network.
        label_CD: label embeddings F_L.
        data: the examples.
        config: the configuration.
        replica: this worker; None for a training in one process on the CPU.
        resume: the state to continue from; None to start at the first epoch.
        on_epoch: called with the state after every epoch.

    Returns:
        The state after the last epoch. Its best epoch has the highest `selection_rank`; of equal
        epochs it is the first. With a tolerance it is the last whose rank is about the highest.

    Raises:
        ForeignStateError: the state to continue from is that of another network.
    """
    replica = replica or Replica()
    network.to(replica.device)
    if resume is None:
        set_statistics(network, label_CD, data.train, replica)
    else:
        with _foreign_states_refused():
            network.load_state_dict(resume.weights)
    if config.train.compile:
        # In place, so that the names of the weights stay and validation is compiled too.
        network.compile(dynamic=True)
    trainer = Trainer(
        replica.wrap(network),
        label_CD,
        config.train,
        config.model.tau,
        replica.device,
        replica.rank,
        replica.world_size,
        config.train.adapter_dropout if config.model.skip else 0.0,
    )
    state, first_epoch = resume, 0
    tolerance = selection_tolerance(config, len(data.select))
    if state is not None:
        with _foreign_states_refused():
            trainer.load_state(state.trainer)
        first_epoch = state.trainer.epoch + 1
    for epoch in range(first_epoch, config.train.epochs):
        metrics = {"epoch": float(epoch + 1), **trainer.train_epoch(data.train, epoch)}
        predictions, validation_metrics = validate(network, label_CD, data.select, config, replica)
        metrics |= validation_metrics
        history = [*(state.history if state else []), metrics]
        weights = _copy_weights(network)
        if state is None or is_selected(metrics, state, tolerance):
            abnormal_N = labels_of(data.select)[1][:, 0] == 0
            best = (weights, metrics, calibrate(predictions, abnormal_N))
        else:
            best = (state.best_weights, state.best_metrics, state.calibration)
        state = FitState(weights, trainer.state(epoch), *best, history)
        if on_epoch is not None:
            on_epoch(state)
    assert state is not None, "train.epochs is at least 1"
    return state


def selection_tolerance(config: Config, videos: int) -> float | None:
    """Return how far below the best epoch the selected one may be; None to select the best.

    Args:
        config: `train.tolerance`, and `model.text`.
        videos: number of selection examples, N.
    """
    if config.train.tolerance is not None:
        return config.train.tolerance
    return 0.5 / max(1, videos) ** 0.5 if config.model.text == "grounded" else None


def is_selected(metrics: Mapping[str, float], state: FitState, tolerance: float | None) -> bool:
    """Whether a new epoch takes the place of the one that was selected so far.

    Few videos measure an epoch with noise, and the highest of many noisy values is often that of an
    early epoch. With votes the classes of whole videos are right early, and the limits of events
    only later.

    Args:
        metrics: of the new epoch.
        state: after the epoch before it.
        tolerance: see `selection_tolerance`.
    """
    if tolerance is None:
        return selection_rank(metrics) > selection_rank(state.best_metrics)
    highest = max(selection_rank(earlier)[0] for earlier in state.history)
    return selection_rank(metrics)[0] >= highest - tolerance


@contextmanager
def _foreign_states_refused() -> Iterator[None]:
    """Raise what torch says about the state of another network as `ForeignStateError`."""
    try:
        yield
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ForeignStateError(" ".join(str(error).split())) from error


def _copy_weights(network: torch.nn.Module) -> Weights:
    weights = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    return copy.deepcopy(weights)
