"""One trial: a training with one draw of the search space, reported after every epoch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import ray
import torch
from ray import tune

from exvad.config import Config, override_config
from exvad.data.storage.marks import UNMARKED
from exvad.training.data import training_data
from exvad.training.fitting import FitState, OnEpoch, train_network
from exvad.training.replica import Replica
from exvad.tuning.trial_state import StateWriter, error_written_down, read_trial_state

if TYPE_CHECKING:
    from exvad.data.manifest import Manifest
    from exvad.data.storage.marks import Marks
    from exvad.laam.run_labels import RunLabels
    from exvad.store.feature_bank import FeatureBank


def import_ahead(config: Config, trials: int) -> None:
    """Start processes for the first trials, which import packages while the sweep prepares.

    Nothing waits for them. Ray starts a trial in a process that is there and idle.

    Args:
        config: its `tune` section says what a trial reserves.
        trials: number of trials.
    """
    slots = int(ray.cluster_resources().get("CPU", 0) / config.tune.cpus)
    task = ray.remote(num_cpus=config.tune.cpus)(_imported)
    for _ in range(min(trials, slots)):
        task.remote()


def _imported() -> None:
    """Do nothing: Ray has imported this module before it calls this."""


def use_reserved_cores(config: Config) -> None:
    """Make this process compute with as many threads as it has cores reserved.

    Args:
        config: `tune.cpus`.
    """
    torch.set_num_threads(max(1, int(config.tune.cpus)))


def train_once(
    config: Config,
    bank: FeatureBank,
    manifest: Manifest,
    labels: RunLabels,
    resume: FitState | None = None,
    on_epoch: OnEpoch | None = None,
) -> FitState:
    """Train a detector in this process.

    Args:
        config: the configuration of the training.
        bank: features of the training and validation videos.
        manifest: the data set.
        labels: its classes with their vectors.
        resume: the state to continue from; None to start at the first epoch.
        on_epoch: called with the state after every epoch.

    Returns:
        The state after the last epoch.
    """
    return train_network(
        config,
        torch.from_numpy(labels.embeddings(config)),
        training_data(bank, manifest, config),
        replica=Replica.alone(config.train),
        resume=resume,
        on_epoch=on_epoch,
    )


def run_trial(
    drawn: dict[str, Any],
    config: Config,
    bank: FeatureBank,
    manifest: Manifest,
    labels: RunLabels,
    marks: Marks = UNMARKED,
) -> None:
    """Run one trial inside Ray Tune, or the rest of one that was interrupted.

    Args:
        drawn: the draw of the search space, dotted key → value.
        config: the configuration of the sweep, which the draw overrides.
        bank: features of the training and validation videos.
        manifest: the data set.
        labels: its classes with their vectors.
        marks: those of the run, whose folder the trial writes to.

    Raises:
        UnsharedPlaceError: this node does not see the run.
        FailedBeforeError: the trial ended with an error before.
    """
    marks.check()
    use_reserved_cores(config)
    storage = tune.get_context().get_storage()
    folder = storage.trial_fs_path, storage.storage_filesystem
    before = read_trial_state(*folder)
    if before.result is not None:
        tune.report(before.result)
        return
    config = override_config(config, drawn)
    report = partial(_report_epoch, writer=StateWriter(config.train.epochs))
    with error_written_down(*folder):
        train_once(config, bank, manifest, labels, before.fit, report)


def _report_epoch(state: FitState, writer: StateWriter) -> None:
    last, best = state.history[-1], state.best_metrics
    metrics = {
        **last,
        "best_epoch": best["epoch"],
        "best_val_auc": best["val_auc"],
        "best_val_map": best["val_map"],
        "score": (best["val_auc"] + best["val_map"]) / 2,
    }
    with writer.checkpoint(state, metrics) as checkpoint:
        tune.report(metrics, checkpoint=checkpoint)
