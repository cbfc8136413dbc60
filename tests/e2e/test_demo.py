"""The main job as users run it: `exvad demo` on a small world, then `exvad analyze`."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from exvad.detector.detector import Detector
from exvad.results import Analysis
from tests.helpers.notebooks import CELL_TIMEOUT, EXAMPLES, run_notebook
from tests.helpers.processes import run_exvad

pytestmark = pytest.mark.slow  # the run of the demo takes minutes

SMALL = ("data.world.train_videos=70", "data.world.test_videos=24", "data.world.seed=7")
TEST_VIDEOS = 24
IOUS = ("0.1", "0.2", "0.3", "0.4", "0.5", "average")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the demo has run."""
    folder = tmp_path_factory.mktemp("demo")
    finished = run_exvad("demo", *SMALL, folder=folder)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "results" in finished.stdout
    assert "explanation (Ex-VAD)" in finished.stdout
    assert "exvad analyze" in finished.stdout
    return folder


def test_demo_writes_a_summary_with_every_metric(folder: Path) -> None:
    summary = json.loads((folder / "runs/demo/summary.json").read_text())
    assert summary["videos"] == summary["explained"] == TEST_VIDEOS
    assert summary["failed"] == 0
    for protocol in ("vadclip", "strict"):
        assert set(summary["map"][protocol]) == set(IOUS)
    for name in ("frame_auc", "frame_ap", "class_accuracy", "explanation_class_accuracy"):
        assert 0 <= summary[name] <= 1
    assert set(summary["variants"]) == {"none", "captions", "explanation"}
    assert set(summary["seconds"]) == {"render", "preprocess", "labels", "train", "evaluate"}
    assert summary["seconds_total"] >= sum(summary["seconds"].values()) - 1


def test_demo_learns_from_a_small_world(folder: Path) -> None:
    summary = json.loads((folder / "runs/demo/summary.json").read_text())
    assert summary["frame_auc"] > 0.7
    assert summary["explanation_class_accuracy"] > 0.6


def test_report_is_self_contained(folder: Path) -> None:
    page = (folder / "runs/demo/report.html").read_text()
    assert "test0000" in page
    assert "data:image/jpeg" in page
    assert 'src="http' not in page
    assert str(folder) not in page


def test_checkpoint_holds_no_pickle_and_no_path(folder: Path) -> None:
    checkpoint = folder / "runs/demo/checkpoint"
    names = {path.name for path in checkpoint.iterdir()}
    assert names == {
        "model.safetensors",
        "config.yaml",
        "labels.json",
        "metrics.json",
        "provenance.json",
    }
    for path in checkpoint.iterdir():
        assert str(folder).encode() not in path.read_bytes()


def test_mlflow_has_the_training(folder: Path) -> None:
    with sqlite3.connect(folder / "runs/demo/mlflow.db") as database:
        keys = {row[0] for row in database.execute("select distinct key from metrics")}
        params = dict(database.execute("select key, value from params"))
    database.close()
    assert {"total", "bce", "mce", "cts", "val_auc", "best_val_map"} <= keys
    assert params["train.lambda"] == "1.0"


def analyze(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `exvad analyze` in a folder."""
    return run_exvad("analyze", *arguments, folder=folder)


def test_analyze_prints_json_and_writes_html(folder: Path) -> None:
    video = "runs/demo/videos/seed7/test0000.mp4"
    finished = analyze(folder, video, "--json", "--html", "out.html")
    assert finished.returncode == 0, finished.stderr
    assert "newest run" in finished.stderr
    analysis = Analysis.model_validate_json(finished.stdout)
    assert analysis.video == video
    assert analysis.explanation is not None
    assert len(analysis.scores) == len(analysis.times) == len(analysis.probabilities)
    assert all(event.end <= analysis.duration + 0.2 for event in analysis.events)
    assert "test0000.mp4" in (folder / "out.html").read_text()


def test_analyze_reports_a_broken_file_and_continues(folder: Path) -> None:
    (folder / "text.mp4").write_text("no video")
    video = "runs/demo/videos/seed7/test0001.mp4"
    finished = analyze(folder, "text.mp4", video, "--checkpoint", "runs/demo/checkpoint")
    assert finished.returncode == 1
    assert "text.mp4: can't be read as a video" in finished.stderr
    assert "test0001.mp4" in finished.stdout
    assert "why:" in finished.stdout


def test_analyze_without_a_run_names_the_demo(tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_text("a video")
    finished = analyze(tmp_path, "video.mp4")
    assert finished.returncode == 2
    assert "exvad demo" in finished.stderr


@pytest.mark.shared
def test_detector_scores_real_clips_to_their_end(folder: Path, shared_data: Path) -> None:
    detector = Detector(folder / "runs/demo/checkpoint")
    for name, num_frames in (
        ("vtest.avi", 795),
        ("fight/fi001.mp4", None),
        ("normal/nofi001.mp4", None),
    ):
        analysis = detector.analyze(shared_data / "videos" / name)
        assert num_frames in (None, analysis.num_frames)
        assert len(analysis.scores) == -(-analysis.num_frames // 16)
        assert analysis.duration == pytest.approx(analysis.num_frames / analysis.fps, abs=0.1)


def test_reproduce_trains_every_seed_once_and_writes_the_tables(folder: Path) -> None:
    command = ("reproduce", "demo", *SMALL, "--seeds", "2", "train.epochs=3")
    finished = run_exvad(*command, folder=folder)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    tables = (folder / "runs/demo/tables.md").read_text()
    assert "measured, vadclip, 2 seeds" in tables
    assert (folder / "runs/demo/tables.html").exists()
    record = json.loads((folder / "runs/demo/reproduction.json").read_text())
    assert len(record["runs"]) == 2
    assert record["random_baseline"]["frame_auc"] < 0.9
    written = (folder / "runs/demo/seed1/summary.json").stat().st_mtime_ns
    assert run_exvad(*command, folder=folder).returncode == 0
    assert (folder / "runs/demo/seed1/summary.json").stat().st_mtime_ns == written


def test_ablate_trains_only_what_is_missing(folder: Path) -> None:
    plan = folder / "plan.yaml"
    plan.write_text(
        "tables: [{title: Text, metrics: [frame_auc, map_0.5], rows: "
        "{none: {model.text: none}, captions: {model.text: captions}}}]\n"
        "curves: [{title: Top-k, setting: labels.k, values: [0, 4], metrics: [map_average]}]\n"
    )
    command = ("ablate", "--plan", str(plan), *SMALL, "train.epochs=2")
    finished = run_exvad(*command, folder=folder)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "4 of 4 trainings are missing" in finished.stderr
    results = sorted((folder / "runs/demo/ablations").glob("*.json"))
    results[0].unlink()
    finished = run_exvad(*command, folder=folder)
    assert "1 of 4 trainings are missing" in finished.stderr
    assert "| captions |" in (folder / "runs/demo/ablations/tables.md").read_text()
    assert (folder / "runs/demo/ablations/curve1.svg").exists()


@pytest.mark.timeout(2 * CELL_TIMEOUT)
@pytest.mark.parametrize(
    ("name", "start", "patterns"),
    [
        (
            "01_analyze_a_video",
            ".",
            ["most likely class:", "true event:", "<polyline", "image/jpeg", "untrained: Barbecue"],
        ),
        (
            "03_query_the_server",
            "examples",
            [
                "the server is ready",
                "^progress ",
                "^scores ",
                "^done ",
                r"threshold: 0\.5",
                r"broken\.mp4",
            ],
        ),
    ],
)
def test_notebook_runs_from_top_to_bottom(
    folder: Path, name: str, start: str, patterns: list[str]
) -> None:
    shutil.copytree(EXAMPLES, folder / "examples", dirs_exist_ok=True)
    examples = folder / "runs/examples"  # where notebooks run a demo if none is there
    if not examples.exists():
        examples.symlink_to("demo")
    output = run_notebook(folder / f"examples/{name}.ipynb", folder / start)
    for pattern in patterns:
        assert re.search(pattern, output, re.MULTILINE), pattern
