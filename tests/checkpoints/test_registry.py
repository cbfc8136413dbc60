"""Where a detector is looked for: a folder, a run, or a name, and in which MLflow."""

from __future__ import annotations

import os
from pathlib import Path

import mlflow
import pytest

from exvad.checkpoints.registry import resolve_checkpoint, tracking_place


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow.set_tracking_uri(None)


def test_without_an_mlflow_one_is_asked_for_and_none_is_made(tmp_path: Path) -> None:
    for reference in ("models:/exvad@champion", "0" * 32):
        with pytest.raises(ValueError, match=r"set MLFLOW_TRACKING_URI.*runs/\*/mlflow\.db"):
            resolve_checkpoint(reference)
    assert list(tmp_path.iterdir()) == []
    assert resolve_checkpoint("some/folder") == Path("some/folder")


def test_the_newest_run_is_asked_unless_another_place_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age, name in enumerate(("new", "old")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "mlflow.db").touch()
        os.utime(tmp_path / "runs" / name / "mlflow.db", (100 - age, 100 - age))
    assert tracking_place() == f"sqlite:///{tmp_path}/runs/new/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there:5000")
    assert tracking_place() == "http://there:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs/old/mlflow.db")
    assert tracking_place() == f"sqlite:///{tmp_path}/runs/old/mlflow.db"
    assert tracking_place("databricks") == "databricks"
