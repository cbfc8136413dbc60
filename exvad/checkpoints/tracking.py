"""MLflow tracking: the experiment, tags of provenance, and one run per training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exvad.checkpoints.layout import PROVENANCE
from exvad.checkpoints.local_tracking import (
    SQLITE,
    adopt_artifacts,
    artifacts_beside,
    database_path,
    keep_readers_from_blocking,
    one_at_a_time,
    patient_uri,
    tracking_errors,
)
from exvad.checkpoints.mlflow_model import log_checkpoint
from exvad.checkpoints.provenance import without_local_paths
from exvad.checkpoints.registry import CHECKPOINT
from exvad.checkpoints.tracking_store import require_tracking_store

if TYPE_CHECKING:
    from pathlib import Path

    from exvad.config import Config
    from exvad.training.fitting import FitState

DATABASE = "mlflow.db"
MAX_TAG = 5000  # characters; MLflow refuses longer tags


def check_tracking(config: Config) -> None:
    """Check that there is a tracking store, before anything is computed.

    Raises:
        ValueError: there is none.
    """
    if not config.mlflow_uri:
        raise ValueError(
            f"run={config.run}: a run in a bucket needs an MLflow server, because SQLite works on "
            "disks only: set mlflow.uri or MLFLOW_TRACKING_URI"
        )
    database = config.mlflow_uri.removeprefix(SQLITE)
    if database == config.in_run(DATABASE) and any(mark in database for mark in "%?"):
        raise ValueError(
            f"run={config.run}: MLflow can't keep its database below a folder with '%' or '?' in "
            "its name: give the run another one, or set mlflow.uri"
        )


def require_tracking(config: Config) -> None:
    """Check that there is a tracking store, and that it can be used.

    Args:
        config: its `mlflow` section names the tracking store.

    Raises:
        ValueError: there is none, or it refuses or does not answer; the message says why.
    """
    check_tracking(config)
    require_tracking_store(config.mlflow_uri)


def prepare_tracking(config: Config) -> None:
    """Find the experiment, or make it, so that what MLflow refuses is known before a training.

    Minutes may have passed since `require_tracking` looked: a server is asked once more.

    Args:
        config: its `mlflow` section names the tracking store and the experiment.

    Raises:
        ValueError: MLflow or its database refuses or does not answer; the message says why.
    """
    check_tracking(config)
    require_tracking_store(config.mlflow_uri, whole=False)
    with tracking_errors(database_path(config.mlflow_uri)):
        open_experiment(config)


def open_experiment(config: Config) -> str:
    """Set MLflow's tracking URI and return the id of the experiment, created if necessary.

    Args:
        config: its `mlflow` section names the tracking store and the experiment.

    Raises:
        ValueError: the experiment is deleted.
    """
    import mlflow

    database = database_path(config.mlflow_uri)
    mlflow.set_tracking_uri(patient_uri(config.mlflow_uri))
    with one_at_a_time(database):
        if database is not None:
            adopt_artifacts(database)
        experiment = mlflow.get_experiment_by_name(config.mlflow.experiment)
        if database is not None:
            keep_readers_from_blocking(database)
        if experiment is not None and experiment.lifecycle_stage == "deleted":
            raise ValueError(
                f"MLflow's experiment {config.mlflow.experiment} is deleted: restore it with "
                "`mlflow experiments restore`, or set mlflow.experiment to another name"
            )
        if experiment is not None:
            return str(experiment.experiment_id)
        location = artifacts_beside(database) if database is not None else None
        return str(mlflow.create_experiment(config.mlflow.experiment, artifact_location=location))


def provenance_tags(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return provenance as MLflow tags: `exvad.NAME` → value."""
    return {f"exvad.{name}": str(value)[:MAX_TAG] for name, value in provenance.items()}


def log_training(config: Config, state: FitState, folder: Path) -> str:
    """Log parameters, curves, metrics, provenance and the checkpoint as one MLflow run.

    Args:
        config: the configuration of the run.
        state: the state after the last epoch.
        folder: the local folder of the checkpoint.

    Returns:
        The id of the MLflow run.

    Raises:
        ValueError: MLflow or its database refuses; the message says why.
    """
    import mlflow

    provenance = json.loads((folder / PROVENANCE).read_bytes())
    params = _flatten(without_local_paths(config).model_dump(by_alias=True))
    done = f"the training is complete: {config.in_run(CHECKPOINT)}"
    with (
        tracking_errors(database_path(config.mlflow_uri), done),
        mlflow.start_run(experiment_id=open_experiment(config)) as active,
    ):
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
