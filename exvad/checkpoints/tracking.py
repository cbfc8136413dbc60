"""MLflow tracking: the experiment, tags of provenance, and one run per training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exvad.checkpoints.checkpoint import PROVENANCE, without_local_paths
from exvad.checkpoints.mlflow_model import log_checkpoint
from exvad.checkpoints.registry import CHECKPOINT

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.training.fitting import FitState

MAX_TAG = 5000  # characters; MLflow refuses longer tags


def open_experiment(config: Config) -> str:
    """Set MLflow's tracking URI and return the id of the experiment, created if necessary.

    Args:
        config: its `mlflow` section names the tracking store and the experiment.
    """
    import mlflow

    mlflow.set_tracking_uri(config.mlflow_uri)
    experiment = mlflow.get_experiment_by_name(config.mlflow.experiment)
    if experiment is not None:
        return str(experiment.experiment_id)
    artifacts = (config.run_path / "mlartifacts").resolve().as_uri()
    location = artifacts if config.mlflow_is_local else None
    return str(mlflow.create_experiment(config.mlflow.experiment, artifact_location=location))


def provenance_tags(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return provenance as MLflow tags: `exvad.NAME` → value."""
    return {f"exvad.{name}": str(value)[:MAX_TAG] for name, value in provenance.items()}


def log_training(config: Config, state: FitState) -> str:
    """Log parameters, curves, metrics, provenance and the checkpoint as one MLflow run.

    Args:
        config: the configuration of the run, whose folder holds the checkpoint.
        state: the state after the last epoch.

    Returns:
        The id of the MLflow run.
    """
    import mlflow

    folder = config.run_path / CHECKPOINT
    provenance = json.loads((folder / PROVENANCE).read_text("utf-8"))
    params = _flatten(without_local_paths(config).model_dump(by_alias=True))
    with mlflow.start_run(experiment_id=open_experiment(config)) as active:
        mlflow.log_params(params)
        mlflow.set_tags(provenance_tags(provenance))
        for epoch in state.history:
            metrics = {name: value for name, value in epoch.items() if name != "epoch"}
            mlflow.log_metrics(metrics, step=int(epoch["epoch"]))
        mlflow.log_metrics({f"best_{name}": value for name, value in state.best_metrics.items()})
        log_checkpoint(folder, CHECKPOINT, params)
    return str(active.info.run_id)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
