"""Train: stored features and labels → a checkpoint, with Ray Train and MLflow.

`python jobs/train.py --preset demo` writes RUN/checkpoint. Started again after an interruption it
goes on after the last finished epoch.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.session import configure, console, parser, progress_bar, ray_session, run

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.data.features import FeatureBank
    from exvad.data.manifest import Manifest
    from exvad.fit import FitState

STATE = "state.pt"


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


def worker(settings: dict[str, Any]) -> None:
    """Train on one Ray Train worker; reports a checkpoint and the figures after every epoch."""
    import ray
    import ray.train
    import ray.train.torch
    import torch

    from exvad.checkpoint import build_network
    from exvad.fit import FitState, fit, training_data

    config: Config = settings["config"]
    bank, *more_crops = ray.get(settings["banks"])
    label_CD = torch.from_numpy(settings["label_CD"])
    context = ray.train.get_context()
    torch.manual_seed(config.train.seed)
    network = build_network(config, bank.width, len(label_CD))
    resume = None
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            resume = FitState.from_dict(torch.load(Path(folder) / STATE, weights_only=True))

    def report(state: FitState) -> None:
        figures = state.history[-1]
        ray.get(settings["board"].note.remote(figures))
        if context.get_world_rank() != 0:
            ray.train.report(figures)
            return
        with tempfile.TemporaryDirectory() as folder:
            torch.save(state.to_dict(), Path(folder) / STATE)
            ray.train.report(figures, checkpoint=ray.train.Checkpoint.from_directory(folder))

    fit(
        network,
        label_CD,
        training_data(bank, settings["manifest"], config, more_crops),
        config,
        device=ray.train.torch.get_device(),
        wrap=ray.train.torch.prepare_model,
        rank=context.get_world_rank(),
        world=context.get_world_size(),
        resume=resume,
        on_epoch=report,
    )


def train(
    config: Config, banks: Sequence[FeatureBank], manifest: Manifest, label_CD: Any
) -> FitState:
    """Fit on Ray Train and return the state after the last epoch.

    Training that was interrupted goes on from RUN/train, as long as nothing that determines it
    has changed.
    """
    import ray
    import torch
    from ray.train import CheckpointConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    from exvad.fit import FitState

    board = ray.remote(num_cpus=0)(Board).remote()
    trainer = TorchTrainer(
        worker,
        train_loop_config={
            "config": config,
            "banks": [ray.put(bank) for bank in banks],
            "manifest": manifest,
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


def open_experiment(config: Config) -> str:
    """Point MLflow at the configured store and return the experiment's id, making it if need be."""
    import mlflow

    mlflow.set_tracking_uri(config.mlflow_uri)
    known = mlflow.get_experiment_by_name(config.mlflow.experiment)
    if known is not None:
        return str(known.experiment_id)
    artifacts = (config.run_path / "mlartifacts").resolve().as_uri()
    location = artifacts if config.mlflow_is_local else None
    return str(mlflow.create_experiment(config.mlflow.experiment, artifact_location=location))


def log_to_mlflow(config: Config, state: FitState) -> None:
    """Keep parameters, curves, figures, provenance and the checkpoint as one MLflow run."""
    import json

    import mlflow

    from exvad.checkpoint import PROVENANCE, without_places
    from exvad.mlflow_model import log_checkpoint

    folder = config.run_path / "checkpoint"
    provenance = json.loads((folder / PROVENANCE).read_text())
    params = _flat(without_places(config).model_dump(by_alias=True))
    with mlflow.start_run(experiment_id=open_experiment(config)) as active:
        mlflow.log_params(params)
        mlflow.set_tags({f"exvad.{name}": str(value) for name, value in provenance.items()})
        for figures in state.history:
            values = {name: value for name, value in figures.items() if name != "epoch"}
            mlflow.log_metrics(values, step=int(figures["epoch"]))
        mlflow.log_metrics({f"best_{k}": v for k, v in state.best.items()})
        log_checkpoint(folder, "checkpoint", params)
    console.print(f"MLflow run {active.info.run_id} in experiment {config.mlflow.experiment}")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def main(arguments: Sequence[str]) -> int:
    """Run the job; return its exit code."""
    command = parser("Stored features in, a trained checkpoint out.")
    command.add_argument(
        "--select-on",
        choices=["val", "test"],
        help="the split that chooses the epoch; test flatters the figures, and is said beside them",
    )
    options = command.parse_args(arguments)
    if options.select_on:
        options.overrides.append(f"train.select_on={options.select_on}")
    config = configure(options)

    import json

    import torch

    from exvad.checkpoint import build_network, save_checkpoint
    from exvad.data.dataset import saved_manifest
    from exvad.data.features import FeatureBank, missing_features
    from exvad.data.store import Store
    from exvad.label_vectors import RunLabels

    manifest = saved_manifest(config)
    labels = RunLabels(config)
    store = Store(config.store_path)
    wanted = [v.video_id for v in manifest.videos if v.split in ("train", config.train.select_on)]
    text, first = config.model.text, config.data.test_crop
    missing = missing_features(store, wanted, text, first)
    if missing:
        console.print(f"{len(missing)} videos without features are left out")
    usable = [video for video in wanted if video not in missing]
    if not usable:
        raise ValueError(
            f"no video of the data set has the features that model.text={text} needs: "
            "preprocess or import them, or train without text (model.text=none)"
        )
    crops = [first, *(crop for crop in range(config.data.crops) if crop != first)]
    banks = [FeatureBank.build(store, usable, text, crop) for crop in crops]
    label_CD = labels.embeddings(config)
    provenance = {
        "seed": config.train.seed,
        "data": manifest.fingerprint(),
        "selected_on": config.train.select_on,
    }
    signature = json.dumps([config.model_dump(), provenance], sort_keys=True)
    folder = config.run_path / "train"
    marker = config.run_path / "train.json"
    if not marker.exists() or marker.read_text() != signature:
        shutil.rmtree(folder, ignore_errors=True)
        marker.write_text(signature)
    with ray_session():
        state = train(config, banks, manifest, label_CD)
    network = build_network(config, banks[0].width, len(label_CD))
    network.load_state_dict(state.best_weights)
    save_checkpoint(
        config.run_path / "checkpoint",
        network,
        torch.from_numpy(label_CD),
        labels.phrases,
        config,
        state.calibration,
        {"best": state.best, "history": state.history},
        provenance,
    )
    log_to_mlflow(config, state)
    best = state.best
    flattering = ", which flatters the figures" if config.train.select_on == "test" else ""
    console.print(
        f"best epoch {best['epoch']:.0f} of {config.train.epochs} chosen on "
        f"{config.train.select_on}{flattering}: "
        f"AUC {best['val_auc']:.3f}, mAP {best['val_map']:.3f}; "
        f"checkpoint {config.run_path / 'checkpoint'}"
    )
    return 0


if __name__ == "__main__":
    run(main)
