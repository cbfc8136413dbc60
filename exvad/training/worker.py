"""The function that each Ray Train worker runs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
import ray.train
import ray.train.torch
import torch

from exvad.training.data import training_data
from exvad.training.fitting import FitState, Replica, train_network

if TYPE_CHECKING:
    from exvad.config import Config

STATE_FILE = "state.pt"


def train_worker(settings: dict[str, Any]) -> None:
    """Train on one Ray Train worker; report a checkpoint and the metrics after every epoch.

    Args:
        settings: `config`, the configuration; `banks`, object references of the features per crop,
            the crop that is validated on first; `manifest`, the data set; `label_CD`, the label
            embeddings F_L as array; `board`, an actor that receives the metrics of every epoch;
            `cpus`, the number of cores of this worker.
    """
    torch.set_num_threads(settings["cpus"])
    config: Config = settings["config"]
    bank, *more_crops = ray.get(settings["banks"])
    context = ray.train.get_context()
    rank = context.get_world_rank()

    def report(state: FitState) -> None:
        metrics = state.history[-1]
        ray.get(settings["board"].record.remote(metrics))
        if rank != 0:
            ray.train.report(metrics)
            return
        with tempfile.TemporaryDirectory() as folder:
            state.save(Path(folder) / STATE_FILE)
            ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))

    train_network(
        config,
        torch.from_numpy(settings["label_CD"]),
        training_data(bank, settings["manifest"], config, more_crops),
        replica=Replica(
            ray.train.torch.get_device(),
            rank,
            context.get_world_size(),
            ray.train.torch.prepare_model,
        ),
        resume=load_state(ray.train.get_checkpoint()),
        on_epoch=report,
    )


def load_state(checkpoint: ray.train.Checkpoint | None) -> FitState | None:
    """Load the state of a Ray Train checkpoint on the CPU; None if there is no checkpoint yet."""
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        return FitState.load(Path(folder) / STATE_FILE)
