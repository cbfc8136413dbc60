"""Loading of a detector by its folder, its MLflow run, or its name in the model registry."""

from __future__ import annotations

from pathlib import Path

from exvad.checkpoints.registry import local_checkpoint
from exvad.checkpoints.zero_shot import read_zero_shot
from exvad.detector.detector import Detector


def load(reference: str | Path, device: str | None = None, tracking_uri: str = "") -> Detector:
    """Load a detector.

    Args:
        reference: a checkpoint folder, an MLflow run id, or `models:/NAME@ALIAS`,
            `models:/NAME/VERSION`; `zero-shot` or a YAML file of settings to detect without
            training.
        device: device of all models; None for the checkpoint's configuration.
        tracking_uri: URI of MLflow; if empty, MLFLOW_TRACKING_URI or the newest run counts.

    Raises:
        ValueError: there is no such checkpoint, run, model, version or alias, or another version
            of exvad wrote the checkpoint.
    """
    settings = read_zero_shot(reference)
    if settings is not None:
        return Detector(settings, device)
    with local_checkpoint(reference, tracking_uri) as folder:
        return Detector(folder, device)
