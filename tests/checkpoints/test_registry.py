"""References resolve to a folder, and the tracking URI comes from the right place."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import mlflow
import pytest

from exvad.checkpoints.checkpoint import load_checkpoint
from exvad.checkpoints.layout import CheckpointError
from exvad.checkpoints.registry import (
    local_checkpoint,
    newest_checkpoint,
    resolve_checkpoint,
    resolve_tracking_uri,
)
from tests.helpers.checkpoints import save_untrained_checkpoint


@pytest.fixture(autouse=True)
def no_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow.set_tracking_uri(None)


def test_resolve_checkpoint_without_an_mlflow_names_the_setting_and_creates_nothing(
    tmp_path: Path,
) -> None:
    for reference in ("models:/exvad@champion", "0" * 32):
        with pytest.raises(ValueError, match=r"set MLFLOW_TRACKING_URI.*runs/\*/mlflow\.db"):
            resolve_checkpoint(reference)
    assert list(tmp_path.iterdir()) == []
    assert resolve_checkpoint("some/folder") == Path("some/folder")


def test_resolve_checkpoint_makes_no_database_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no MLflow database .*typo/mlflow\.db"):
        resolve_checkpoint("models:/exvad@champion", f"sqlite:///{tmp_path}/runs/typo/mlflow.db")
    assert list(tmp_path.iterdir()) == []


def test_local_checkpoint_is_the_folder_itself_or_a_copy_for_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_untrained_checkpoint(tmp_path / "checkpoint")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with local_checkpoint(folder) as own:
        assert own == folder
    with local_checkpoint(folder.as_uri()) as copy:
        assert copy.is_relative_to(temporary)
        assert load_checkpoint(copy).name == load_checkpoint(folder).name
    with (
        pytest.raises(CheckpointError, match="it has no"),
        local_checkpoint(f"file://{tmp_path}/absent"),
    ):
        pass
    assert list(temporary.glob("exvad-*")) == []
    assert folder.exists()


@pytest.mark.filterwarnings("ignore:.*loader strategy is deprecated")
def test_local_checkpoint_of_an_mlflow_run_is_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_untrained_checkpoint(tmp_path / "checkpoint")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    run_id = client.create_run("0").info.run_id
    client.log_artifacts(run_id, str(folder), "checkpoint")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with local_checkpoint(run_id, uri) as copy:
        assert copy.is_relative_to(temporary)
        assert load_checkpoint(copy).name == load_checkpoint(folder).name
    assert list(temporary.glob("exvad-*")) == []
    assert resolve_checkpoint(run_id, uri).exists()


def test_resolve_tracking_uri_is_that_of_the_newest_run_unless_one_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age, name in enumerate(("new", "old")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "mlflow.db").touch()
        os.utime(tmp_path / "runs" / name / "mlflow.db", (100 - age, 100 - age))
    assert resolve_tracking_uri() == f"sqlite:///{tmp_path}/runs/new/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there:5000")
    assert resolve_tracking_uri() == "http://there:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs/old/mlflow.db")
    assert resolve_tracking_uri() == f"sqlite:///{tmp_path}/runs/old/mlflow.db"
    assert resolve_tracking_uri("databricks") == "databricks"


def test_newest_checkpoint_is_that_of_the_newest_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no checkpoint matches runs"):
        newest_checkpoint()
    for age, name in enumerate(("new", "old")):
        (tmp_path / "runs" / name / "checkpoint").mkdir(parents=True)
        os.utime(tmp_path / "runs" / name / "checkpoint", (100 - age, 100 - age))
    assert newest_checkpoint() == Path("runs/new/checkpoint")
