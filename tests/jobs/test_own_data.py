"""Videos of one's own in a folder per class, through the four jobs: as the README says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from exvad.data.world.render import render_video
from exvad.data.world.scene import Scene

ROOT = Path(__file__).resolve().parents[2]
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

pytestmark = pytest.mark.slow


def test_a_folder_per_class_goes_through_the_four_jobs(tmp_path: Path) -> None:
    videos, seed = tmp_path / "videos", 0
    for split, count in (("train", 6), ("test", 2)):
        for label in ("Normal", "Arson", "Fighting"):
            (videos / split / label).mkdir(parents=True)
            for number in range(count):
                seed += 1
                path = videos / split / label / f"{label}{split}{number}.mp4"
                render_video(Scene(seed, label, 11, 12), path)
    preset = tmp_path / "my.yaml"
    preset.write_text(PRESET)
    common = ["--preset", str(preset), "data.kind=folder", f"data.root={videos}"]
    for job in ("preprocess", "labels", "train", "evaluate"):
        finished = subprocess.run(
            [sys.executable, f"jobs/{job}.py", *common, f"run={tmp_path}/mine"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert finished.returncode == 0, f"{job}: {finished.stdout}{finished.stderr}"
    summary = json.loads((tmp_path / "mine/summary.json").read_text())
    assert summary["videos"] == 6
    assert (tmp_path / "mine/report.html").exists()
