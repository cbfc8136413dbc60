"""A whole run in a bucket: training, evaluation and a sweep, with kills and a failing network."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest

from exvad.checkpoints.checkpoint import load_checkpoint
from exvad.checkpoints.registry import resolve_checkpoint
from tests.helpers.object_store import Faults, ObjectStore, environment, object_store
from tests.helpers.planted import CLASSES, plant_run
from tests.helpers.processes import exvad_command, run_exvad, stop
from tests.helpers.tracking import tracking_server

__all__ = ["tracking_server"]

SETTINGS = [
    "model.text=none", "labels.k=0", "train.epochs=8", "train.batch_size=8", "train.milestones=[5]",
]  # fmt: skip
WAIT_SECONDS = 200

pytestmark = pytest.mark.slow


class Runner:
    """Runs `exvad` in an empty folder, with a run in a bucket.

    Args:
        folder: the empty folder.
        bucket: the bucket.
        tracking_uri: the MLflow server.
    """

    def __init__(self, folder: Path, bucket: ObjectStore, tracking_uri: str) -> None:
        self.folder, self.bucket = folder, bucket
        self.uri = bucket.url("runs/mine")
        self.environment = environment(bucket.proxy.url) | {"MLFLOW_TRACKING_URI": tracking_uri}

    def arguments(self, verb: str, *more: str) -> list[str]:
        return [verb, *more, f"run={self.uri}", *SETTINGS]

    def run(self, verb: str, *more: str) -> str:
        finished = run_exvad(
            *self.arguments(verb, *more), folder=self.folder, environment=self.environment
        )
        messages = finished.stdout + finished.stderr
        assert finished.returncode == 0, messages
        return " ".join(messages.split())

    def kill_when(self, part: str, verb: str, *more: str) -> None:
        """Start a verb and kill it when an object with a text in its name is there."""
        with subprocess.Popen(
            exvad_command(*self.arguments(verb, *more)),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            deadline = time.monotonic() + WAIT_SECONDS
            while not any(part in name for name in self.bucket.names("runs/mine")):
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < deadline
                time.sleep(0.1)
            stop(process, gently=False)

    def read(self, name: str) -> str:
        """Return the content of a file of the run."""
        return bytes(obstore.get(self.bucket.direct, f"runs/mine/{name}").bytes()).decode()


@pytest.fixture
def runner(tmp_path: Path, tracking_server: str) -> Iterator[Runner]:
    folder = tmp_path / "empty"
    folder.mkdir()
    with object_store() as bucket:
        runner = Runner(folder, bucket, tracking_server)
        plant_run(
            tmp_path / "planted", videos=60, validation=0.3, phrases=8, tests=12, run=runner.uri
        )
        yield runner


def test_run_in_a_bucket_survives_kills_and_leaves_nothing_on_the_disk(
    runner: Runner, tmp_path: Path
) -> None:
    plant_run(tmp_path / "local", videos=60, validation=0.3, phrases=8, tests=12)
    undisturbed = run_exvad("train", f"run={tmp_path}/local/run", *SETTINGS)
    assert undisturbed.returncode == 0, undisturbed.stderr
    expected = json.loads((tmp_path / "local/run/checkpoint/metrics.json").read_text())

    runner.kill_when("train/checkpoint_manager_snapshot.json", "train")
    runner.bucket.proxy.faults = [
        Faults("503", 2, "PUT", "/train/"), Faults("reset", 2, "PUT", "/checkpoint/"),
    ]  # fmt: skip
    assert f"checkpoint {runner.uri}/checkpoint" in runner.run("train")
    metrics = json.loads(runner.read("checkpoint/metrics.json"))
    assert [epoch["epoch"] for epoch in metrics["history"]] == list(range(1, 9))
    assert metrics["history"] == expected["history"]

    assert f"report {runner.uri}/report.html" in runner.run("evaluate", "--resamples", "0")
    summary = json.loads(runner.read("summary.json"))
    assert summary["videos"] == 12
    trained = load_checkpoint(resolve_checkpoint(f"{runner.uri}/checkpoint"))
    assert summary["checkpoint"] == trained.name
    assert "<title>mine" in runner.read("report.html")

    runner.kill_when("sweep1/experiment_state", "sweep", "--trials", "3")
    messages = runner.run("sweep", "--resume", "--trials", "3")
    assert "3 trials:" in messages
    assert f"page: {runner.uri}/sweep1/sweep.html" in messages
    champion = load_checkpoint(resolve_checkpoint(f"{runner.uri}/sweep1/checkpoint"))
    assert champion.labels.classes == CLASSES
    assert [path for path in runner.folder.rglob("*") if path.is_file()] == []
