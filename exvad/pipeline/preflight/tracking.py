"""Whether the MLflow of a run answers, where it is a server or a database of several users."""

from __future__ import annotations

from exvad.checkpoints.tracking_store import require_tracking_store
from exvad.config.addresses import shown_address
from exvad.pipeline.preflight.findings import Finding

SETTING = "mlflow.uri"


def check_tracking_server(uri: str) -> Finding:
    """Ask an MLflow server or its database for an answer.

    Args:
        uri: the tracking URI.
    """
    try:
        require_tracking_store(uri)
    except ValueError as error:
        return Finding(SETTING, False, str(error))
    return Finding(SETTING, True, f"{shown_address(uri)} answers")
