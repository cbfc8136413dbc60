"""MLflow tracking of trainings: the experiment, and one run per training."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from exvad.checkpoints.checkpoint import PROVENANCE, without_places
from exvad.checkpoints.mlflow_model import log_checkpoint

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.training.fitting import FitState


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


def log_training(config: Config, state: FitState) -> str:
    """Log parameters, curves, metrics, provenance and the checkpoint as one MLflow run.

    Args:
        config: the configuration of the run, whose folder holds the checkpoint.
        state: the state after the last epoch.

    Returns:
        The run's id.
    """
    import mlflow

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
    return str(active.info.run_id)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
