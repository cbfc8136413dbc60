"""A checkpoint as an MLflow model: paths of videos in, answers out.

The model's folder is the checkpoint's own with one more file, `MLmodel`, that says what goes in and
what comes out: `exvad.load` reads it like any checkpoint, and MLflow unpickles nothing.
"""

from __future__ import annotations

import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import Model, ModelSignature

    from exvad.detector import Detector

COLUMNS = (("video", "string"), ("label", "string"), ("score", "double"), ("analysis", "string"))


class VideoModel:
    """What `mlflow.pyfunc.load_model` returns the inside of.

    Args:
        detector: the loaded detector.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def predict(self, videos: pd.DataFrame) -> pd.DataFrame:
        """Analyze the files of the column `video`.

        Args:
            videos: a column `video` of paths.

        Returns:
            A row per file: its path, the class it is given, the anomaly score (0 to 1), and the
            whole answer as JSON (`exvad.results.Analysis`).

        Raises:
            ValueError: a file can't be read as a video.
        """
        import pandas as pd

        answers = [(str(path), self._detector.analyze(Path(path))) for path in videos["video"]]
        rows = [(path, a.label, a.anomaly_score, a.model_dump_json()) for path, a in answers]
        return pd.DataFrame(rows, columns=[name for name, _ in COLUMNS])


def signature() -> ModelSignature:
    """Return what goes into the model and what comes out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    columns = [ColSpec(kind, name) for name, kind in COLUMNS]
    return ModelSignature(inputs=Schema(columns[:1]), outputs=Schema(columns))


def log_checkpoint(folder: Path, name: str, params: dict[str, Any]) -> str:
    """Log a checkpoint as a model of the active MLflow run; return the model's URI.

    Args:
        folder: the checkpoint.
        name: what the run calls it: `runs:/RUN/NAME` is its folder.
        params: the settings it was trained with.
    """
    from mlflow.models import Model

    from exvad import mlflow_model

    logged = Model.log(
        artifact_path=None,
        flavor=mlflow_model,
        name=name,
        params=params,
        checkpoint=folder,
        signature=signature(),
    )
    return str(logged.model_uri)


def save_model(path: str, mlflow_model: Model, checkpoint: Path, signature: ModelSignature) -> None:
    """Write the model's folder; MLflow calls it with a folder that does not exist yet."""
    shutil.copytree(checkpoint, path, dirs_exist_ok=True)
    mlflow_model.signature = signature
    version = platform.python_version()
    mlflow_model.add_flavor("python_function", loader_module=__name__, python_version=version)
    mlflow_model.save(str(Path(path) / "MLmodel"))


def _load_pyfunc(path: str) -> VideoModel:
    from exvad.detector import Detector

    return VideoModel(Detector(path))
