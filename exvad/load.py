"""A trained detector by its folder, its MLflow run, or its name in the model registry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exvad.detector import Detector

REGISTRY = "models:/"
CHECKPOINT = "checkpoint"
_RUN = re.compile(r"[0-9a-f]{32}")


def load(reference: str | Path, device: str | None = None, tracking_uri: str = "") -> Detector:
    """Load a detector.

    Args:
        reference: a checkpoint folder, an MLflow run id, or `models:/NAME@ALIAS`,
            `models:/NAME/VERSION`.
        device: where everything runs; None for what the checkpoint was configured with.
        tracking_uri: of MLflow; empty for MLFLOW_TRACKING_URI.

    Raises:
        ValueError: there is no such checkpoint, run, model, version or alias.
    """
    from exvad.detector import Detector

    return Detector(resolve_checkpoint(reference, tracking_uri), device)


def resolve_checkpoint(reference: str | Path, tracking_uri: str = "") -> Path:
    """Return the folder of a checkpoint, fetched from MLflow where need be; see `load`."""
    name = str(reference)
    is_run = _RUN.fullmatch(name) is not None and not Path(name).exists()
    if not name.startswith(REGISTRY) and not is_run:
        return Path(reference)

    import mlflow
    from mlflow.exceptions import MlflowException

    if tracking_uri:
        mlflow.set_tracking_uri(tracking_uri)
    try:
        source = f"runs:/{name}/{CHECKPOINT}" if is_run else _source(name.removeprefix(REGISTRY))
        return Path(mlflow.artifacts.download_artifacts(source))
    except (MlflowException, OSError) as error:
        raise ValueError(
            f"{name}: not found by the MLflow at {_shown(mlflow.get_tracking_uri())} "
            f"({str(error).splitlines()[0]})"
        ) from None


def _source(wanted: str) -> str:
    from mlflow import MlflowClient

    client = MlflowClient()
    if "@" in wanted:
        name, alias = wanted.split("@", 1)
        version = client.get_model_version_by_alias(name, alias)
    elif "/" in wanted:
        version = client.get_model_version(*wanted.split("/", 1))
    else:
        raise ValueError(f"{REGISTRY}{wanted}: write models:/NAME@ALIAS or models:/NAME/VERSION")
    return str(version.source)


def _shown(uri: str) -> str:
    """Return a URI without the password it may hold."""
    return re.sub(r"//[^/@]*@", "//", uri)
