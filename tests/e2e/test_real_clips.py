"""All real surveillance clips through preprocessing and through the detector."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from exvad.data.world.activities import CLASSES
from exvad.detector.detector import Detector
from exvad.store.store import Store
from exvad.video.survey import probe
from tests.helpers.checkpoints import save_untrained_checkpoint
from tests.helpers.processes import run_exvad

CLIPS = 61

pytestmark = [pytest.mark.slow, pytest.mark.shared]


@pytest.fixture(scope="module")
def clips(shared_data: Path) -> list[Path]:
    files = (shared_data / "videos").rglob("*")
    clips = sorted(path for path in files if path.suffix in (".mp4", ".avi"))
    assert len(clips) == CLIPS
    return clips


def test_preprocess_encodes_every_clip(clips: list[Path], tmp_path: Path) -> None:
    listing = tmp_path / "clips.csv"
    with listing.open("w", newline="") as file:
        # The tiny language model knows only these classes and gives every video one of them.
        file.write(f"# classes: {', '.join(CLASSES)}\n")
        writer = csv.writer(file)
        writer.writerow(["path", "split", "labels", "events"])
        for clip in clips:
            label = "Fighting" if clip.parent.name == "fight" else "Normal"
            writer.writerow([str(clip), "train", label, ""])
    finished = run_exvad(
        "preprocess", "--strict", "data.kind=manifest", f"data.manifest={listing}",
        f"run={tmp_path}/run", "captioner.per_video=4", timeout=500,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert f"{CLIPS} of {CLIPS} videos are ready, 0 failed" in finished.stderr
    table = Store(f"{tmp_path}/run/store").read_stage("vision").table(["num_frames", "times"])
    frames = sorted(table["num_frames"].to_pylist())
    assert frames == sorted(probe(clip).num_frames for clip in clips)
    assert all(times[0] == 0 for times in table["times"].to_pylist())


def test_detector_scores_every_clip_to_its_end(clips: list[Path], tmp_path: Path) -> None:
    detector = Detector(save_untrained_checkpoint(tmp_path / "checkpoint", "captioner.per_video=4"))
    for clip in clips:
        info, analysis = probe(clip), detector.analyze(clip)
        assert analysis.num_frames == info.num_frames, clip.name
        assert len(analysis.scores) == -(-info.num_frames // 16)
        assert analysis.duration == pytest.approx(info.duration, abs=0.2)
        assert analysis.times == sorted(analysis.times)
        assert analysis.times[-1] < info.duration
