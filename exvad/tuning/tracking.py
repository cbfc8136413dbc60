"""The sweep in MLflow: a parent run, a child run per trial, and the champion in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exvad.checkpoints.local_tracking import patient_uri
from exvad.checkpoints.registry import CHECKPOINT
from exvad.checkpoints.tracking import open_experiment, provenance_tags
from exvad.tuning.records import OBJECTIVES, TrialRecord
from exvad.tuning.search import CURVES

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.tuning.outcome import SweepOutcome

ALIAS = "champion"
MAX_ERROR = 500  # characters


def log_sweep(
    config: Config,
    outcome: SweepOutcome,
    lineage: Mapping[str, Any],
    files: Mapping[str, str],
    checkpoint: Path | None,
) -> str:
    """Log a sweep and return the id of the parent run.

    Args:
        config: names the tracking store and the experiment.
        outcome: the trials, and the confirmed settings.
        lineage: data fingerprint, commit, preset, space and so on, logged as tags.
        files: artifacts of the parent run, name → text: page and space.
        checkpoint: the folder of the winner's checkpoint.
    """
    import mlflow
    from mlflow import MlflowClient

    experiment = open_experiment(config)
    with mlflow.start_run(experiment_id=experiment, run_name="sweep") as parent:
        mlflow.set_tags(provenance_tags(lineage))
        for index, record in enumerate(outcome.records):
            _log_trial(experiment, f"trial {index}", record)
        for rank, setting in enumerate(outcome.confirmed):
            scores = {"confirmed_mean": setting.mean}
            if setting.deviation is not None:
                scores["confirmed_sd"] = setting.deviation
            mlflow.log_metrics(scores, rank)
        if outcome.confirmed:
            winner = outcome.confirmed[0].parameters
            mlflow.log_params({f"winner.{key}": value for key, value in winner.items()})
        for name, text in files.items():
            mlflow.log_text(text, name)
        if checkpoint is not None:
            mlflow.log_artifacts(str(checkpoint), CHECKPOINT)
    if outcome.interrupted:
        MlflowClient().set_terminated(parent.info.run_id, "KILLED")
    return str(parent.info.run_id)


def _log_trial(experiment: str, name: str, record: TrialRecord) -> None:
    import mlflow
    from mlflow import MlflowClient

    with mlflow.start_run(experiment_id=experiment, run_name=name, nested=True) as run:
        mlflow.log_params(record.parameters)
        for epoch in record.curve:
            curves = {name: epoch[name] for name in CURVES if name in epoch}
            mlflow.log_metrics(curves, step=int(epoch["epoch"]))
        best = {name: record.metrics[name] for name in OBJECTIVES if name in record.metrics}
        mlflow.log_metrics(best)
        mlflow.set_tag("exvad.pruned", record.pruned)
        if record.error is not None:
            mlflow.set_tag("exvad.error", record.error[:MAX_ERROR])
    if record.error is not None or record.unfinished:
        status = "KILLED" if record.unfinished else "FAILED"
        MlflowClient().set_terminated(run.info.run_id, status)


def register_champion(config: Config, run_id: str, lineage: Mapping[str, Any]) -> str:
    """Register the checkpoint of a run as the champion and return its version."""
    import mlflow
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(patient_uri(config.mlflow_uri))
    client, name = MlflowClient(), config.mlflow.model
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name)
    source = f"{client.get_run(run_id).info.artifact_uri}/{CHECKPOINT}"
    version = client.create_model_version(name, source, run_id, tags=provenance_tags(lineage))
    client.set_registered_model_alias(name, ALIAS, version.version)
    return str(version.version)
