"""Videos of a user through the four jobs: a folder per class, and a CSV, as the README says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exvad.data.manifest_files import read_manifest
from exvad.data.world.render import render_video
from exvad.data.world.scene import Scene
from exvad.store.completeness import missing_features
from exvad.store.feature_bank import load_features
from exvad.store.store import Store
from tests.helpers.processes import run_exvad

PRESET = """
device: cpu
data: {short_side: 120, validation: 0.3}
clip: {model: "package:clip", pretrained: "", dtype: float32}
captioner: {model: "package:captioner", per_video: 6, dtype: float32}
llm: {model: "package:llm", prompt: explanation_demo, dtype: float32, max_new_tokens: 96}
labels: {prompt: phrases_demo}
model: {window: 2, layers: 1}
train: {epochs: 3, batch_size: 8}
"""

TIMES = {"Arsontest0": "3.3s-7.5s", "Arsontest1": "5000f-6000f"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the videos, with a folder per split and class."""
    folder, seed = tmp_path_factory.mktemp("own") / "videos", 0
    for split, count in (("train", 6), ("test", 2)):
        for label in ("Normal", "Arson", "Fighting"):
            (folder / split / label).mkdir(parents=True)
            for index in range(count):
                seed += 1
                path = folder / split / label / f"{label}{split}{index}.mp4"
                render_video(Scene(seed, label, 11, 12), path)
    return folder


def run_jobs(folder: Path, *overrides: str) -> dict[str, Any]:
    """Run the four jobs with a preset of the user; return the summary."""
    preset = folder / "my.yaml"
    preset.write_text(PRESET)
    for job in ("preprocess", "labels", "train", "evaluate"):
        finished = run_exvad(job, "--preset", preset, *overrides, f"run={folder}/mine")
        assert finished.returncode == 0, f"{job}: {finished.stdout}{finished.stderr}"
    summary: dict[str, Any] = json.loads((folder / "mine/summary.json").read_text())
    assert (folder / "mine/report.html").exists()
    return summary


def test_jobs_take_a_folder_per_class(videos: Path, tmp_path: Path) -> None:
    summary = run_jobs(tmp_path, "data.kind=folder", f"data.root={videos}")
    assert summary["videos"] == 6


def test_jobs_take_a_csv_with_several_labels_and_five_crops(videos: Path, tmp_path: Path) -> None:
    lines = ["# classes: Normal, Arson, Fighting, Brawl", "path,split,labels,events"]
    for path in sorted(videos.rglob("*.mp4")):
        split, label = path.relative_to(videos).parts[:2]
        labels = [label, "Brawl"] if label == "Fighting" else [label]
        times = TIMES.get(path.stem, "40f-90f")
        events = [f"{name}:{times}" for name in labels if split == "test" and name != "Normal"]
        lines.append(f"{path},{split},{';'.join(labels)},{';'.join(events)}")
    table = tmp_path / "my.csv"
    table.write_text("\n".join(lines) + "\n")
    summary = run_jobs(tmp_path, "data.kind=manifest", f"data.manifest={table}", "data.crops=5")
    assert summary["videos"] == 6
    assert set(summary["map_per_class"]["strict"]) == {"Arson", "Fighting", "Brawl"}
    assert list(summary["beyond_the_end"]) == ["Arsontest1"]
    assert "Arson:5000-6000 begins after the last of" in summary["beyond_the_end"]["Arsontest1"][0]
    assert "Arsontest1: Arson:5000-6000 begins" in (tmp_path / "mine/report.html").read_text()
    store = Store(tmp_path / "mine/store")
    ids = [video.video_id for video in read_manifest(tmp_path / "mine/manifest.parquet").videos]
    assert all(not missing_features(store, ids, "explanation", crop) for crop in range(5))
    first, corner = (load_features(store, ids[:1], crop=crop)[ids[0]].visual for crop in (0, 1))
    assert first.shape == corner.shape
    assert not np.array_equal(first, corner)
