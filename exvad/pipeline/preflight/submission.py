"""Whether what a submitted job writes would be lost with the folder that it runs in.

`ray job submit --working-dir` copies the user's folder into a temporary one of Ray on the head of
the cluster. Relative paths are below it. Files that the job only reads may be there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exvad.checkpoints.local_tracking import database_path
from exvad.data.storage.places import is_uri
from exvad.pipeline.preflight.findings import Finding
from exvad.pipeline.session import is_submitted

if TYPE_CHECKING:
    from exvad.config import Config


def check_submission(config: Config) -> list[Finding]:
    """Find the places of a submitted job that are relative paths.

    Args:
        config: the configuration of the run.

    Returns:
        A finding per setting to change; none for a job that was not submitted.
    """
    if not is_submitted():
        return []
    written = {"run": config.run, "store": config.store}
    if config.data.kind == "world":
        written["data.root"] = config.data.root  # where the videos are rendered
    findings = [
        Finding(setting, False, _advice(setting, location, accepts_uri=setting != "data.root"))
        for setting, location in written.items()
        if location and not is_uri(location) and not Path(location).is_absolute()
    ]
    database = database_path(config.mlflow.uri)
    if database is not None and not database.is_absolute():
        findings.append(Finding("mlflow.uri", False, _advice("mlflow.uri", str(database), False)))
    return findings


def _advice(setting: str, location: str, accepts_uri: bool) -> str:
    scheme = "sqlite:///" if setting == "mlflow.uri" else ""
    name = location.removeprefix("./")
    bucket = f", or a URI, such as {setting}=s3://my-bucket/{name}" if accepts_uri else ""
    return (
        f"{location} is a relative path, which in a submitted job lies in a temporary folder of "
        "Ray and is lost: give the absolute path of a folder that all nodes share, such as "
        f"{setting}={scheme}/mnt/exvad/{name}{bucket}"
    )
