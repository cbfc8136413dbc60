"""TODO"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exvad.checkpoints.registry import resolve_checkpoint

if TYPE_CHECKING:
    from exvad.detector.detector import Detector


def load(reference: str | Path, device: str | None = None, tracking_uri: str = "") -> Detector:
    """Load a detector.

    Args:
        reference: a checkpoint folder, an MLflow run id, or `models:/NAME@ALIAS`,
            `models:/NAME/VERSION`.
        device: where everything runs; None for what the checkpoint was configured with.
        tracking_uri: of MLflow; see `tracking_place`.

    Raises:
        ValueError: there is no such checkpoint, run, model, version or alias.
    """
    from exvad.detector.detector import Detector

    return Detector(resolve_checkpoint(reference, tracking_uri), device)
