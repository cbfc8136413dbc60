"""References to checkpoints: a folder, a URI, an MLflow run, or a name in the model registry."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exvad.checkpoints.layout import FILES, CheckpointError
from exvad.checkpoints.local_tracking import (
    SQLITE,
    adopt_artifacts,
    database_path,
)
from exvad.checkpoints.tracking_store import require_tracking_store
from exvad.config.addresses import shown_address, shown_message
from exvad.data.atomic import write_bytes_atomic
from exvad.data.storage.places import Place, is_uri, resolve_place

REGISTRY = "models:/"
CHECKPOINT = "checkpoint"
DATABASES = "runs/*/mlflow.db"
CHECKPOINTS = "runs/*/checkpoint"
_COPIES = "exvad-checkpoint-"
_RUN_ID = re.compile(r"[0-9a-f]{32}")


def is_folder(reference: str | Path) -> bool:
    """Return whether a reference is a local path, not a URI, an MLflow run id or `models:/…`."""
    name = str(reference)
    return not (name.startswith(REGISTRY) or is_uri(name) or _is_run(name))


@contextmanager
def local_checkpoint(reference: str | Path, tracking_uri: str = "") -> Iterator[Path]:
    """Yield the folder of a checkpoint: its own, or a copy that is deleted after the block.

    Args:
        reference: a reference; see `resolve_checkpoint`.
        tracking_uri: URI of MLflow; see `resolve_tracking_uri`.

    Raises:
        ValueError: see `resolve_checkpoint`.
        CheckpointError: the URI names no checkpoint.
    """
    if is_folder(reference):
        yield Path(reference)
        return
    with tempfile.TemporaryDirectory(prefix=_COPIES) as parent:
        yield resolve_checkpoint(reference, tracking_uri, Path(parent))


def resolve_checkpoint(
    reference: str | Path, tracking_uri: str = "", parent: Path | None = None
) -> Path:
    """Return the folder of a checkpoint, downloaded from a bucket or MLflow if necessary.

    Args:
        reference: a folder, its URI, an MLflow run id, or `models:/NAME@ALIAS`,
            `models:/NAME/VERSION`.
        tracking_uri: URI of MLflow; see `resolve_tracking_uri`.
        parent: an empty folder for what is downloaded; None for a temporary one, which is deleted
            when this process ends, or that of MLflow.

    Raises:
        ValueError: MLflow has no such run, model, version or alias, or there is no MLflow.
        CheckpointError: the URI names no checkpoint.
    """
    name = str(reference)
    if is_folder(reference):
        return Path(reference)
    if is_uri(name):
        folder = parent or _folder_of_this_process()
        _download(resolve_place(name), folder)
        return folder

    import mlflow

    # Every call gets the URI: MLflow's own setting applies to this process and its children.
    uri = resolve_tracking_uri(tracking_uri)
    require_tracking_store(uri, writes=False)
    if (database := database_path(uri)) is not None:
        if not database.exists():
            raise ValueError(f"{name}: there is no MLflow database {database} to look it up in")
        adopt_artifacts(database)
    with _mlflow_errors(name, uri):
        source = _run_source(name, uri) if _is_run(name) else _model_version(name, uri).source
        to = None if parent is None else str(parent)
        return Path(mlflow.artifacts.download_artifacts(source, dst_path=to, tracking_uri=uri))


def registered_version(reference: str | Path, tracking_uri: str = "") -> str | None:
    """Return the version that a registry alias stands for now; None for any other reference.

    Args:
        reference: a reference; see `resolve_checkpoint`.
        tracking_uri: URI of MLflow; see `resolve_tracking_uri`.

    Raises:
        ValueError: there is no such model or alias, or there is no MLflow.
    """
    name = str(reference)
    if not name.startswith(REGISTRY) or "@" not in name:
        return None
    uri = resolve_tracking_uri(tracking_uri)
    with _mlflow_errors(name, uri):
        return str(_model_version(name, uri).version)


def resolve_tracking_uri(tracking_uri: str = "") -> str:
    """Return the URI of the MLflow that holds runs and models.

    Args:
        tracking_uri: the URI, if it is known. If empty, MLFLOW_TRACKING_URI counts, and without it
            the newest run below the working directory.

    Raises:
        ValueError: none of these exists.
    """
    import mlflow

    uri = tracking_uri or (mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else "")
    if uri.startswith(SQLITE):  # other processes may run in another folder
        return f"{SQLITE}{Path(uri.removeprefix(SQLITE)).resolve()}"
    if uri:
        return uri
    database = _newest(DATABASES)
    if database is None:
        raise ValueError(
            f"no MLflow: set MLFLOW_TRACKING_URI, because the working directory has no {DATABASES}"
        )
    return f"{SQLITE}{database.resolve()}"


def newest_checkpoint() -> Path:
    """Return the checkpoint of the newest run below the working directory.

    Raises:
        ValueError: there is none.
    """
    checkpoint = find_newest_checkpoint()
    if checkpoint is None:
        raise ValueError(
            f"no checkpoint matches {CHECKPOINTS}: run `exvad demo` first, "
            "or name one with --checkpoint"
        )
    return checkpoint


def find_newest_checkpoint() -> Path | None:
    """Return the checkpoint of the newest run below the working directory; None without one."""
    return _newest(CHECKPOINTS)


def _is_run(name: str) -> bool:
    return _RUN_ID.fullmatch(name) is not None and not Path(name).exists()


def _folder_of_this_process() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=_COPIES))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _download(place: Place, folder: Path) -> None:
    """Copy a checkpoint into an empty local folder.

    Raises:
        CheckpointError: there is no checkpoint.
    """
    for name in FILES:
        try:
            write_bytes_atomic(folder / name, (place / name).read_bytes())
        except FileNotFoundError:
            raise CheckpointError(
                f"{place} is no checkpoint: it has no {name}; exvad train writes one"
            ) from None


def _newest(pattern: str) -> Path | None:
    """Return the path below the working directory that was modified last."""
    return max(Path().glob(pattern), key=lambda path: path.stat().st_mtime, default=None)


@contextmanager
def _mlflow_errors(name: str, uri: str) -> Iterator[None]:
    """Raise MLflow's errors about a reference as ValueError."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        reason = shown_message(str(error)).splitlines()[0]
        raise ValueError(
            f"{name}: not found by the MLflow at {shown_address(uri)} ({reason})"
        ) from None


def _run_source(run_id: str, uri: str) -> str:
    """Return where MLflow keeps the checkpoint of a run: as its model, or among its artifacts."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    outputs = client.get_run(run_id).outputs
    # MLflow resolves a model of a run in the database of its own setting, whatever the URI is.
    for output in (outputs and outputs.model_outputs) or ():
        model = client.get_logged_model(output.model_id)
        if model.name == CHECKPOINT:
            return str(model.artifact_location)
    return f"runs:/{run_id}/{CHECKPOINT}"


def _model_version(reference: str, uri: str) -> Any:
    """Return MLflow's record of `models:/NAME@ALIAS` or `models:/NAME/VERSION`."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    model = reference.removeprefix(REGISTRY)
    if "@" in model:
        name, alias = model.split("@", 1)
        return client.get_model_version_by_alias(name, alias)
    if "/" in model:
        return client.get_model_version(*model.split("/", 1))
    raise ValueError(f"{reference}: write models:/NAME@ALIAS or models:/NAME/VERSION")
