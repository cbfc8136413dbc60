"""All the real surveillance clips through preprocessing and through the detector."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from exvad.data.world.activities import CLASSES
from exvad.detector.detector import Detector
from exvad.store.store import Store
from exvad.video.chunks import probe
from tests.helpers.checkpoints import save

ROOT = Path(__file__).resolve().parents[2]
CLIPS = 61

pytestmark = [pytest.mark.slow, pytest.mark.shared]


@pytest.fixture(scope="module")
def clips(shared_data: Path) -> list[Path]:
    found = sorted(p for p in (shared_data / "videos").rglob("*") if p.suffix in (".mp4", ".avi"))
    assert len(found) == CLIPS
    return found


def test_every_clip_is_preprocessed(clips: list[Path], tmp_path: Path) -> None:
    listing = tmp_path / "clips.csv"
    with listing.open("w", newline="") as file:
        # The tiny language model knows these classes only, and says them of everything.
        file.write(f"# classes: {', '.join(CLASSES)}\n")
        writer = csv.writer(file)
        writer.writerow(["path", "split", "labels", "events"])
        for clip in clips:
            label = "Fighting" if clip.parent.name == "fight" else "Normal"
            writer.writerow([str(clip), "train", label, ""])
    finished = subprocess.run(
        [
            sys.executable, "jobs/preprocess.py", "--preset", "demo", "--strict",
            "data.kind=manifest", f"data.manifest={listing}", f"run={tmp_path}/run",
            "captioner.per_video=4",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert f"{CLIPS} of {CLIPS} videos are ready, 0 failed" in finished.stderr
    table = Store(f"{tmp_path}/run/store").read_stage("vision").table(["num_frames", "times"])
    frames = sorted(table["num_frames"].to_pylist())
    assert frames == sorted(probe(clip).num_frames for clip in clips)
    assert all(times[0] == 0 for times in table["times"].to_pylist())


def test_every_clip_is_answered_with_its_length(clips: list[Path], tmp_path: Path) -> None:
    detector = Detector(save(tmp_path / "checkpoint", "captioner.per_video=4"))
    for clip in clips:
        info, answer = probe(clip), detector.analyze(clip)
        assert answer.num_frames == info.num_frames, clip.name
        assert len(answer.scores) == -(-info.num_frames // 16)
        assert answer.duration == pytest.approx(info.duration, abs=0.2)
        assert answer.times == sorted(answer.times)
        assert answer.times[-1] < info.duration
