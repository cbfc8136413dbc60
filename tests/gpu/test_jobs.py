"""The jobs of a run on a card: large clips to features, a training, its metrics, trials and a cell.

The jobs follow one another in one run, as they do for a user. CLIP has its full size and random
weights; captions and explanations come from the demo's models, which can write valid ones.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exvad.store.store import Store
from tests.helpers.gpu.clips import SPLITS, write_clips
from tests.helpers.gpu.lane import Lane
from tests.helpers.gpu.models import Models
from tests.helpers.gpu.record import Record
from tests.helpers.processes import exvad_command, run_exvad, stop

VIDEOS = sum(map(len, SPLITS.values()))
EPOCHS = 4
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}
LOAD_STATE = """
import sys, torch
from ray.train import Checkpoint
from exvad.training.worker import load_state
assert not torch.cuda.is_available()
torch.load(sys.argv[1] + "/state.pt", weights_only=True)
print(load_state(Checkpoint.from_directory(sys.argv[1])).trainer.epoch)
"""
SPACE = "model.tau: {type: float, low: 0.05, high: 0.2, log: true}\n"
PLAN = """
tables:
  - {title: Fusion, metrics: [class_accuracy], rows: {gated: {model.fusion: gated}}}
"""


class Run:
    """A run and the jobs that were done in it.

    Args:
        folder: of the run, its clips and its files.
        lane: on which device.
        models: CLIP.
    """

    def __init__(self, folder: Path, lane: Lane, models: Models) -> None:
        self.folder, self.lane = folder, lane
        self.path = folder / "run"
        self.listing = write_clips(folder, is_large=lane.is_full)
        one = {"min_actors": 1, "max_actors": 1, "cpus": 1, "gpus": 1 if lane.is_full else 0}
        self.settings = [
            "--preset", "demo", f"run={self.path}", "data.kind=manifest",
            f"data.manifest={self.listing}", "data.snippets_per_chunk=3", "data.validation=0",
            f"clip.model=local-dir:{models.folder('clip')}", "clip.dtype=auto",
            "clip.batch_size=64",
            f"device={'auto' if lane.is_full else 'cpu'}", "train.batch_size=8", "labels.k=2",
            *[f"stages.{stage}.{key}={value}" for stage in ("vision", "language")
              for key, value in one.items()],
        ]  # fmt: skip
        # Compilation needs a compiler of C on the machine.
        compiles = lane.is_full and any(map(shutil.which, ("cc", "gcc", "clang")))
        self.training = [
            f"train.gpu={str(lane.is_full).lower()}", f"train.epochs={EPOCHS}",
            "train.precision=bfloat16", f"train.compile={str(compiles).lower()}",
        ]  # fmt: skip

    def do(self, verb: str, *arguments: str, **environment: str) -> float:
        """Do a job to its end; return its seconds."""
        start = time.monotonic()
        finished = run_exvad(verb, *self.settings, *arguments, environment=environment)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return time.monotonic() - start

    def kill(self, verb: str, *arguments: str, once: Callable[[], bool]) -> None:
        """Start a job and kill all its processes as soon as a condition holds."""
        command = exvad_command(verb, *self.settings, *arguments)
        messages = self.folder / f"{verb}.log"
        deadline = time.monotonic() + 200
        with (
            messages.open("w") as log,
            subprocess.Popen(command, start_new_session=True, stdout=log, stderr=log) as process,
        ):
            while not once():
                assert process.poll() is None, f"{verb} ended too early: {messages.read_text()}"
                if time.monotonic() > deadline:
                    stop(process, gently=False)
                    pytest.fail(f"{verb} wrote nothing: {messages.read_text()}")
                time.sleep(0.05)
            stop(process, gently=False)


@pytest.fixture(scope="module")
def run(
    job_lane: Lane,
    full_models: Models,
    miniature_models: Models,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    models = full_models if job_lane.is_full else miniature_models
    return Run(tmp_path_factory.mktemp("jobs"), job_lane, models)


@pytest.fixture(scope="module")
def parts_before_the_kill(run: Run) -> set[str]:
    """The parts that a killed job of preprocessing left behind."""
    parts = run.path / "store" / "vision"
    run.kill("preprocess", once=lambda: any(parts.glob("*.parquet")))
    return {part.name for part in parts.glob("*.parquet")}


@pytest.fixture(scope="module")
def preprocess_seconds(run: Run, parts_before_the_kill: set[str]) -> float:
    """The seconds of the job that continues the killed one."""
    return run.do("preprocess", "--strict")


@pytest.fixture(scope="module")
def trained(run: Run, preprocess_seconds: float) -> Run:
    """The run after a training that was killed once and then continued."""
    run.do("labels")
    snapshot = run.path / "train/checkpoint_manager_snapshot.json"
    run.kill("train", *run.training, once=snapshot.exists)
    assert not (run.path / "checkpoint").exists()
    run.do("train", *run.training)
    return run


def test_preprocess_continues_after_a_kill(
    run: Run, parts_before_the_kill: set[str], preprocess_seconds: float, record: Record
) -> None:
    store = Store(run.path / "store")
    parts = {part.name for part in (run.path / "store" / "vision").glob("*.parquet")}
    assert parts_before_the_kill < parts, "nothing is repeated, and the rest is added"
    keys = list(store.read_stage("vision").keys())
    assert len(keys) == len(set(keys))
    assert len({video for video, *_ in keys}) == VIDEOS
    rows = store.read_stage("language").table().to_pylist()
    assert len(rows) == VIDEOS
    assert all(row["explanation"] and row["captions"] for row in rows)
    assert store.failures.rows() == []
    record.add("preprocess_rest_of_16_clips_seconds", preprocess_seconds)


def test_train_continues_after_a_kill(trained: Run) -> None:
    metrics = json.loads((trained.path / "checkpoint/metrics.json").read_text())
    epochs = [epoch["epoch"] for epoch in metrics["history"]]
    assert epochs == list(range(1, EPOCHS + 1))


def test_state_of_a_training_loads_where_no_gpu_is_visible(trained: Run) -> None:
    newest = max(trained.path.glob("train/**/state.pt"), key=lambda path: path.stat().st_mtime)
    finished = subprocess.run(
        [sys.executable, "-c", LOAD_STATE, str(newest.parent)],
        env={**os.environ, **NO_GPU},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == [str(EPOCHS - 1)]


def test_evaluate_on_the_card_equals_the_cpu(trained: Run, record: Record) -> None:
    summaries = []
    for environment in ({}, NO_GPU) if trained.lane.is_full else ({},):
        seconds = trained.do("evaluate", "--resamples", "0", **environment)
        summaries.append(json.loads((trained.path / "summary.json").read_text()))
        record.add(f"evaluate_seconds{'_on_cpu' if environment else ''}", seconds)
    assert all(summary["videos"] == len(SPLITS["test"]) for summary in summaries)
    aucs = [summary["frame_auc"] for summary in summaries]
    assert max(aucs) - min(aucs) < 0.01


def test_two_trials_share_a_card(trained: Run, record: Record) -> None:
    space = trained.folder / "space.yaml"
    space.write_text(SPACE)
    trained.do(
        "sweep", "--space", str(space), "--trials", "2", "--confirm", "1", *trained.training,
        "train.compile=false", "tune.gpus=0.5", "tune.cpus=1",
    )  # fmt: skip
    reports = sorted((trained.path / "sweep1").glob("*/result.json"))
    spans = []
    for report in reports:
        lines = [json.loads(line) for line in report.read_text().splitlines()]
        assert lines[0]["epoch"] == 1
        spans.append((lines[0]["timestamp"] - lines[0]["time_this_iter_s"], lines[-1]["timestamp"]))
    assert len(spans) == 2
    overlap = min(end for _, end in spans) - max(start for start, _ in spans)
    record.add("two_trials_overlap_seconds", max(0.0, overlap))


def test_cell_of_an_ablation_is_trained_on_the_card(trained: Run, record: Record) -> None:
    plan = trained.folder / "plan.yaml"
    plan.write_text(PLAN)
    arguments = ["--plan", str(plan), *trained.training, "train.compile=false"]
    record.add("ablation_cell_seconds", trained.do("ablate", *arguments))
    results = list((trained.path / "ablations").glob("*.json"))
    assert len(results) == 1
    assert 0 <= json.loads(results[0].read_text())["class_accuracy"] <= 1
