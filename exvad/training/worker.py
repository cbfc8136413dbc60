"""The function that each Ray Train worker runs."""

from __future__ import annotations

import pickle
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
import ray.train
import ray.train.torch
import torch
import torch.distributed

from exvad.training.data import worker_data
from exvad.training.fitting import FitState, ForeignStateError, train_network
from exvad.training.replica import Replica

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.storage.places import Place
    from exvad.inference.prediction import Prediction

STATE_FILE = "state.pt"
SNAPSHOT = "checkpoint_manager_snapshot.json"  # in which Ray Train lists the states
# What is raised about a file that is cut short, empty or missing, or that holds something else.
_DAMAGED = (
    *(RuntimeError, EOFError, FileNotFoundError, IsADirectoryError, pickle.UnpicklingError),
    *(LookupError, TypeError, AttributeError, ValueError),
)


def train_worker(settings: dict[str, Any]) -> None:
    """Train on one Ray Train worker; report a checkpoint and the metrics after every epoch.

    Args:
        settings: `config`, the configuration; `store`, the store of the features; `videos`,
            object reference of those that are trained and validated on; `label_CD`, the label
            embeddings F_L as array; `board`, an actor that receives the metrics of every epoch;
            `cpus`, the number of cores of this worker.
    """
    settings["store"].marks.check()  # before Ray Train looks for the run in its own words
    torch.set_num_threads(settings["cpus"])
    config: Config = settings["config"]
    context = ray.train.get_context()
    rank, workers = context.get_world_rank(), context.get_world_size()
    data = worker_data(settings["store"], ray.get(settings["videos"]), config, rank, workers)

    def report(state: FitState) -> None:
        metrics = state.history[-1]
        ray.get(settings["board"].record.remote(metrics))
        if rank != 0:
            ray.train.report(metrics)
            return
        with tempfile.TemporaryDirectory() as folder:
            state.save(Path(folder) / STATE_FILE)
            ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))

    checkpoint = ray.train.get_checkpoint()
    try:
        train_network(
            config,
            torch.from_numpy(settings["label_CD"]),
            data,
            replica=Replica(
                ray.train.torch.get_device(),
                rank,
                workers,
                ray.train.torch.prepare_model,
                partial(_gather, workers=workers),
            ),
            resume=load_state(checkpoint),
            on_epoch=report,
        )
    except ForeignStateError:
        assert checkpoint is not None, "without one there is no state"
        raise _damaged(checkpoint) from None


def _gather(mine: list[Prediction], workers: int) -> list[list[Prediction]]:
    """Return the predictions of every worker, by rank."""
    if workers == 1:
        return [mine]
    gathered: list[list[Prediction]] = [[] for _ in range(workers)]
    torch.distributed.all_gather_object(gathered, mine)
    return gathered


def load_state(checkpoint: ray.train.Checkpoint | None) -> FitState | None:
    """Load the state of a Ray Train checkpoint on the CPU; None if there is no checkpoint yet.

    Raises:
        ValueError: the state is damaged or missing; the message says what to do.
    """
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        try:
            return FitState.load(Path(folder) / STATE_FILE)
        except _DAMAGED:
            raise _damaged(checkpoint) from None


def _damaged(checkpoint: ray.train.Checkpoint) -> ValueError:
    # Short and without its cause, because Ray Train cuts long errors off.
    return ValueError(
        f"{checkpoint.path}/{STATE_FILE} is damaged: delete {checkpoint.path.rpartition('/')[0]}, "
        "and the same command trains from the first epoch"
    )


def check_snapshot(folder: Place) -> None:
    """Refuse a folder of states whose list Ray Train can't read; it would fail without a sentence.

    Args:
        folder: RUN/train.

    Raises:
        ValueError: the list is damaged; the message says what to do.
    """
    snapshot = folder / SNAPSHOT
    if not snapshot.exists():
        return
    try:
        if not isinstance(snapshot.read_json(), dict):
            raise ValueError(f"{snapshot} is damaged: it lists no states")
    except ValueError as error:
        raise ValueError(
            f"{error}; delete {folder}, and the same command trains from the first epoch"
        ) from None
