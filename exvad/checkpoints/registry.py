"""A trained detector by its folder, its MLflow run, or its name in the model registry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

REGISTRY = "models:/"
CHECKPOINT = "checkpoint"
SQLITE = "sqlite:///"
DATABASES = "runs/*/mlflow.db"
_RUN = re.compile(r"[0-9a-f]{32}")


def resolve_checkpoint(reference: str | Path, tracking_uri: str = "") -> Path:
    """Return the folder of a checkpoint, fetched from MLflow where need be; see `load`."""
    name = str(reference)
    is_run = _RUN.fullmatch(name) is not None and not Path(name).exists()
    if not name.startswith(REGISTRY) and not is_run:
        return Path(reference)

    import mlflow
    from mlflow.exceptions import MlflowException

    # Given to each call: MLflow's own setting would be that of the whole process and its children.
    place = tracking_place(tracking_uri)
    try:
        if is_run:
            source = f"runs:/{name}/{CHECKPOINT}"
        else:
            source = str(_version(name.removeprefix(REGISTRY), place).source)
        return Path(mlflow.artifacts.download_artifacts(source, tracking_uri=place))
    except (MlflowException, OSError) as error:
        raise ValueError(
            f"{name}: not found by the MLflow at {_shown(place)} ({str(error).splitlines()[0]})"
        ) from None


def version_of(reference: str | Path, tracking_uri: str = "") -> str | None:
    """Return the version an alias of the registry stands for now; None for any other reference.

    Raises:
        ValueError: there is no such model or alias, or no registry.
    """
    name = str(reference)
    if not name.startswith(REGISTRY) or "@" not in name:
        return None
    from mlflow.exceptions import MlflowException

    place = tracking_place(tracking_uri)
    try:
        return str(_version(name.removeprefix(REGISTRY), place).version)
    except (MlflowException, OSError) as error:
        raise ValueError(
            f"{name}: not found by the MLflow at {_shown(place)} ({str(error).splitlines()[0]})"
        ) from None


def tracking_place(tracking_uri: str = "") -> str:
    """Return where MLflow keeps runs and models.

    Args:
        tracking_uri: the answer, where it is known; empty for MLFLOW_TRACKING_URI, or without it
            the newest run below the working directory.

    Raises:
        ValueError: there is none of these.
    """
    import mlflow

    named = tracking_uri or (mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else "")
    if named.startswith(SQLITE):  # others may ask from another folder
        return f"{SQLITE}{Path(named.removeprefix(SQLITE)).resolve()}"
    if named:
        return named
    found = sorted(Path().glob(DATABASES), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ValueError(f"no MLflow: set MLFLOW_TRACKING_URI, as there is no {DATABASES} here")
    return f"{SQLITE}{found[-1].resolve()}"


def _version(wanted: str, place: str) -> Any:
    from mlflow import MlflowClient

    client = MlflowClient(place)
    if "@" in wanted:
        name, alias = wanted.split("@", 1)
        return client.get_model_version_by_alias(name, alias)
    if "/" in wanted:
        return client.get_model_version(*wanted.split("/", 1))
    raise ValueError(f"{REGISTRY}{wanted}: write models:/NAME@ALIAS or models:/NAME/VERSION")


def _shown(uri: str) -> str:
    """Return a URI without the password it may hold."""
    return re.sub(r"//[^/@]*@", "//", uri)


DEMO_CHECKPOINTS = "runs/*/checkpoint"


def newest_demo_checkpoint() -> Path:
    """Return the checkpoint of the newest run below the working directory.

    Raises:
        ValueError: there is none.
    """
    found = sorted(Path().glob(DEMO_CHECKPOINTS), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ValueError(
            f"no checkpoint below {DEMO_CHECKPOINTS}: run `exvad demo` first, "
            "or name one with --checkpoint"
        )
    return found[-1]
