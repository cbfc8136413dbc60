"""A checkpoint as an MLflow model: paths of videos in, analyses out.

The model's folder is the checkpoint's folder with one more file, `MLmodel`, which describes inputs
and outputs. `exvad.load` reads it like any checkpoint, and MLflow unpickles nothing.
"""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.models import Model, ModelSignature

LOADER = "exvad.detector.mlflow_model"  # MLflow imports it to load the model
COLUMNS = (
    ("video", "string"),
    ("label", "string"),
    ("score", "double"),
    ("analysis", "string"),
    ("domain", "string"),
)


def signature() -> ModelSignature:
    """Return the model's input and output columns."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    columns = [ColSpec(kind, name) for name, kind in COLUMNS]
    return ModelSignature(inputs=Schema(columns[:1]), outputs=Schema(columns))


def log_checkpoint(folder: Path, name: str, params: dict[str, Any]) -> str:
    """Log a checkpoint as a model of the active MLflow run and return the model's URI.

    Args:
        folder: the checkpoint's folder.
        name: name of the model in the run: `runs:/RUN/NAME` is its folder.
        params: the settings of the training.
    """
    from mlflow.models import Model

    logged = Model.log(
        artifact_path=None,
        flavor=sys.modules[__name__],
        name=name,
        params=params,
        checkpoint=folder,
        signature=signature(),
    )
    return str(logged.model_uri)


def save_model(path: str, mlflow_model: Model, checkpoint: Path, signature: ModelSignature) -> None:
    """Write the model's folder; `Model.log` calls it as the flavor's function of this name.

    Args:
        path: the folder to write.
        mlflow_model: the description that `MLmodel` will hold.
        checkpoint: the checkpoint's folder.
        signature: input and output columns.
    """
    shutil.copytree(checkpoint, path, dirs_exist_ok=True)
    mlflow_model.signature = signature
    version = platform.python_version()
    mlflow_model.add_flavor("python_function", loader_module=LOADER, python_version=version)
    mlflow_model.save(str(Path(path) / "MLmodel"))
