"""The sweep in MLflow: a parent run, a child per trial, and the champion in the model registry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exvad.tuning.search import CURVES, OBJECTIVES, Record

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.tuning.confirm import Confirmed

ALIAS = "champion"


def log_sweep(
    config: Config,
    records: Sequence[Record],
    confirmed: Sequence[Confirmed],
    lineage: dict[str, Any],
    files: Sequence[Path],
    interrupted: bool,
) -> str:
    """Write the sweep and return the parent's run id.

    Args:
        config: says where MLflow is.
        records: the trials.
        confirmed: the settings that were confirmed, the winner first.
        lineage: data fingerprint, commit, preset, space and the like.
        files: what to keep with the parent: page, space, checkpoint.
        interrupted: the sweep was stopped before its end.
    """
    import mlflow
    from mlflow import MlflowClient

    from exvad.checkpoints.tracking import open_experiment

    experiment = {"experiment_id": open_experiment(config)}
    with mlflow.start_run(**experiment, run_name="sweep") as parent:
        mlflow.set_tags({f"exvad.{name}": str(value)[:5000] for name, value in lineage.items()})
        for number, record in enumerate(records):
            with mlflow.start_run(**experiment, run_name=f"trial {number}", nested=True) as child:
                mlflow.log_params(record.parameters)
                for row in record.curve:
                    values = {name: row[name] for name in CURVES if name in row}
                    mlflow.log_metrics(values, step=int(row["epoch"]))
                mlflow.log_metrics(
                    {n: record.figures[n] for n in OBJECTIVES if n in record.figures}
                )
                mlflow.set_tag("exvad.pruned", record.pruned)
                if record.error is not None:
                    mlflow.set_tag("exvad.error", record.error[:500])
            if record.error is not None or record.unfinished:
                status = "KILLED" if record.unfinished else "FAILED"
                MlflowClient().set_terminated(child.info.run_id, status)
        for place, each in enumerate(confirmed):
            mlflow.log_metrics({"confirmed_mean": each.mean, "confirmed_sd": each.deviation}, place)
        if confirmed:
            mlflow.log_params({f"winner.{k}": v for k, v in confirmed[0].parameters.items()})
        for path in files:
            if path.is_dir():
                mlflow.log_artifacts(str(path), path.name)
            else:
                mlflow.log_artifact(str(path))
    if interrupted:
        MlflowClient().set_terminated(parent.info.run_id, "KILLED")
    return str(parent.info.run_id)


def register(config: Config, run_id: str, lineage: dict[str, Any]) -> str:
    """Register the checkpoint of a run as the champion and return its version."""
    import mlflow
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    from exvad.checkpoints.registry import CHECKPOINT

    mlflow.set_tracking_uri(config.mlflow_uri)
    client, name = MlflowClient(), config.mlflow.model
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name)
    source = f"{client.get_run(run_id).info.artifact_uri}/{CHECKPOINT}"
    tags = {f"exvad.{key}": str(value)[:5000] for key, value in lineage.items()}
    version = client.create_model_version(name, source, run_id, tags=tags)
    client.set_registered_model_alias(name, ALIAS, version.version)
    return str(version.version)
