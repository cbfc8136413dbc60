"""A submitted job refuses to write into the temporary folder that it runs in."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR

from exvad.config import load_config
from exvad.pipeline.preflight.checks import require_ready
from exvad.pipeline.preflight.findings import PreflightError
from exvad.pipeline.preflight.submission import check_submission


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process look like the entry point of a submitted job."""
    monkeypatch.setenv(RAY_JOB_CONFIG_JSON_ENV_VAR, "{}")


def refused(*overrides: str) -> list[str]:
    """Return the settings that are refused in a submitted job on a manifest."""
    config = load_config("demo", ["data.kind=manifest", "data.manifest=list.csv", *overrides])
    return [finding.what for finding in check_submission(config)]


@pytest.mark.usefixtures("submitted")
def test_relative_places_that_are_written_are_refused() -> None:
    assert refused("run=runs/mine") == ["run"]
    assert refused("run=/mnt/exvad/mine") == []
    assert refused("run=s3://bucket/mine", "store=./store") == ["store"]
    assert refused("run=/mnt/exvad/mine", "mlflow.uri=sqlite:///mine.db") == ["mlflow.uri"]
    assert refused("run=/mnt/exvad/mine", "mlflow.uri=sqlite:////mnt/mine.db") == []
    assert refused("run=/mnt/exvad/mine", "mlflow.uri=http://tracking:5000") == []
    world = ["data.kind=world", "data.root=videos"]
    assert refused("run=/mnt/exvad/mine", *world) == ["data.root"]


def test_relative_places_are_allowed_in_other_processes() -> None:
    assert refused("run=runs/mine", "store=store", "data.kind=world") == []


@pytest.mark.usefixtures("submitted")
def test_every_job_says_what_to_write_instead(tmp_path: Path) -> None:
    config = load_config("demo", ["run=runs/mine", f"data.root={tmp_path}"])
    with pytest.raises(PreflightError) as error:
        require_ready(config, "evaluate")
    message = str(error.value)
    assert message.startswith("run: runs/mine is a relative path")
    assert "run=/mnt/exvad/runs/mine, or a URI, such as run=s3://my-bucket/runs/mine" in message
