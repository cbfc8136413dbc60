"""A whole run in a bucket of Google: training and evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exvad.data.storage.places import resolve_place
from tests.helpers.google_storage import google_storage
from tests.helpers.planted import plant_run
from tests.helpers.processes import run_exvad

pytestmark = pytest.mark.slow


def test_run_in_a_google_bucket_trains_and_evaluates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    with google_storage(tmp_path) as bucket:
        for name, value in bucket.variables.items():
            monkeypatch.setenv(name, value)
        run = f"{bucket.url}/runs/mine"
        plant_run(tmp_path / "planted", videos=60, validation=0.3, phrases=8, tests=12, run=run)
        filesystem, path = resolve_place(f"{run}/train/old").to_arrow()
        filesystem.create_dir(path)  # the mark of a folder, as an earlier training leaves it
        for verb, *more in (["train", "train.epochs=2"], ["evaluate", "--resamples", "0"]):
            finished = run_exvad(
                verb, *more, f"run={run}", f"mlflow.uri=sqlite:///{tmp_path}/mlflow.db",
                "model.text=none", "labels.k=0", "train.batch_size=8", "train.milestones=[2]",
                folder=folder,
            )  # fmt: skip
            assert finished.returncode == 0, finished.stdout + finished.stderr
        summary = json.loads(resolve_place(f"{run}/summary.json").read_bytes())
        assert summary["videos"] == 12
        assert resolve_place(f"{run}/report.html").exists()
    assert [path for path in folder.rglob("*") if path.is_file()] == []
