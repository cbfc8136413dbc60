"""Train: stored features and labels → a checkpoint, with Ray Train and MLflow.

`python jobs/train.py --preset demo` writes RUN/checkpoint. Started again after an interruption it
goes on after the last finished epoch.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exvad.checkpoints.tracking import log_training
from exvad.pipeline.session import console, progress_bar, ray_session
from exvad.store.run_data import RunData
from exvad.training.worker import STATE, worker

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.training.fitting import FitState


class Board:
    """Where the first worker notes every epoch, for the driver to show."""

    def __init__(self) -> None:
        self.noted: dict[str, float] = {}

    def note(self, figures: dict[str, float]) -> None:
        """Note the figures of an epoch."""
        self.noted = figures

    def read(self) -> dict[str, float]:
        """Return the figures of the last epoch, empty before the first."""
        return self.noted


@contextmanager
def following(board: Any, epochs: int) -> Iterator[None]:
    """Show the board's epochs in a progress bar until the block ends."""
    import ray

    ended = threading.Event()
    with progress_bar() as bar:
        task = bar.add_task("training, by epoch", total=epochs)

        def follow() -> None:
            while not ended.wait(0.5):
                figures = ray.get(board.read.remote())
                if figures:
                    text = f"training, loss {figures['total']:.3f}"
                    bar.update(task, completed=figures["epoch"], description=text)

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def fit_on_ray(config: Config, data: RunData, label_CD: Any) -> FitState:
    """Fit on Ray Train and return the state after the last epoch.

    Training that was interrupted goes on from RUN/train, as long as nothing that determines it
    has changed.
    """
    import ray
    import torch
    from ray.train import CheckpointConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    from exvad.training.fitting import FitState

    board = ray.remote(num_cpus=0)(Board).remote()
    trainer = TorchTrainer(
        worker,
        train_loop_config={
            "config": config,
            "banks": [ray.put(bank) for bank in data.banks],
            "manifest": data.manifest,
            "label_CD": label_CD,
            "board": board,
        },
        scaling_config=ScalingConfig(
            num_workers=config.train.workers,
            use_gpu=config.train.gpu,
            resources_per_worker={"CPU": 1, **({"GPU": 1} if config.train.gpu else {})},
        ),
        run_config=RunConfig(
            name="train",
            storage_path=str(config.run_path.resolve()),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    with following(board, config.train.epochs):
        result = trainer.fit()
    if result.error is not None:
        raise ValueError(f"training stopped: {result.error}")
    assert result.checkpoint is not None
    with result.checkpoint.as_directory() as folder:
        return FitState.from_dict(torch.load(Path(folder) / STATE, weights_only=True))


def train(config: Config) -> int:
    """Train a detector on the features and labels of a run and write RUN/checkpoint.

    Args:
        config: the configuration.

    Returns:
        The exit code.
    """
    import json

    import torch

    from exvad.checkpoints.checkpoint import Checkpoint, save_checkpoint
    from exvad.inference.network import build_network
    from exvad.laam.run_labels import RunLabels

    labels = RunLabels.load(config)
    data = RunData.load(config, ("train", config.train.select_on), all_crops=True)
    if data.missing:
        console.print(f"{len(data.missing)} videos without features are left out")
    label_CD = labels.embeddings(config)
    provenance = {
        "seed": config.train.seed,
        "data": data.manifest.fingerprint(),
        "selected_on": config.train.select_on,
    }
    signature = json.dumps([config.model_dump(), provenance], sort_keys=True)
    folder = config.run_path / "train"
    marker = config.run_path / "train.json"
    if not marker.exists() or marker.read_text() != signature:
        shutil.rmtree(folder, ignore_errors=True)
        marker.write_text(signature)
    with ray_session():
        state = fit_on_ray(config, data, label_CD)
    network = build_network(config, data.bank.width, len(label_CD))
    network.load_state_dict(state.best_weights)
    trained = Checkpoint(
        network,
        torch.from_numpy(label_CD),
        labels.phrases,
        config,
        state.calibration,
        {"best": state.best, "history": state.history},
        provenance,
    )
    save_checkpoint(config.run_path / "checkpoint", trained)
    run_id = log_training(config, state)
    console.print(f"MLflow run {run_id} in experiment {config.mlflow.experiment}")
    best = state.best
    flattering = ", which flatters the figures" if config.train.select_on == "test" else ""
    console.print(
        f"best epoch {best['epoch']:.0f} of {config.train.epochs} chosen on "
        f"{config.train.select_on}{flattering}: "
        f"AUC {best['val_auc']:.3f}, mAP {best['val_map']:.3f}; "
        f"checkpoint {config.run_path / 'checkpoint'}"
    )
    return 0
