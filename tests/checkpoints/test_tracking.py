"""MLflow tracking of trainings: the experiment and the tags."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

from exvad.checkpoints.tracking import (
    check_tracking,
    open_experiment,
    prepare_tracking,
    provenance_tags,
)
from exvad.config import load_config

pytestmark = pytest.mark.filterwarnings("ignore:.*loader strategy is deprecated")


def test_open_experiment_creates_it_once_with_artifacts_in_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MLflow keeps the address in the environment: set it first, so that it is restored after.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    config = load_config("demo", [f"run={tmp_path / 'run'}", "mlflow.experiment=mine"])
    Path(config.run).mkdir()
    experiment_id = open_experiment(config)
    assert open_experiment(config) == experiment_id
    experiment = mlflow.get_experiment(experiment_id)
    assert experiment.name == "mine"
    assert experiment.artifact_location == (tmp_path / "run/mlartifacts").as_uri()


def test_prepare_tracking_makes_the_experiment_or_says_at_once_why_it_can_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    config = load_config("demo", [f"run={tmp_path}"])
    prepare_tracking(config)
    assert mlflow.get_experiment_by_name("exvad") is not None
    mlflow.delete_experiment(mlflow.get_experiment_by_name("exvad").experiment_id)
    with pytest.raises(ValueError, match="experiment exvad is deleted: restore it"):
        prepare_tracking(config)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mlflow.db").write_bytes(bytes(range(256)) * 40)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    with pytest.raises(ValueError, match="file is not a database"):
        prepare_tracking(load_config("demo", [f"run={tmp_path}/other"]))


def test_run_in_a_bucket_needs_a_tracking_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ValueError, match=r"set mlflow\.uri or MLFLOW_TRACKING_URI"):
        check_tracking(load_config("demo", ["run=s3://bucket/run"]))
    check_tracking(load_config("demo", ["run=s3://bucket/run", "mlflow.uri=http://tracker"]))
    check_tracking(load_config("demo", []))


def test_a_run_in_a_folder_that_mlflow_cannot_name_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name in ("runs/100%", "runs/what?"):
        with pytest.raises(ValueError, match=r"give the run another one, or set mlflow\.uri"):
            check_tracking(load_config("demo", [f"run={name}"]))
        check_tracking(load_config("demo", [f"run={name}", "mlflow.uri=http://server:5000"]))
    check_tracking(load_config("demo", ["run=runs/a#b [c] d"]))


def test_provenance_tags_are_prefixed_and_short_enough_for_mlflow() -> None:
    tags = provenance_tags({"seed": 3, "space": "x" * 10_000})
    assert tags == {"exvad.seed": "3", "exvad.space": "x" * 5000}
