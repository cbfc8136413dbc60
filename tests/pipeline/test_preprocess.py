"""The preprocess job: real Ray, real files, the demo's models; broken input and a kill half-way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from exvad.data.manifest_files import read_manifest
from exvad.data.world import Scene, render_video
from exvad.data.world.activities import CLASSES
from exvad.store.feature_bank import missing_features
from exvad.store.store import Store

ROOT = Path(__file__).resolve().parents[2]
LABELS = ("Normal", "Fighting", "Arson", "Explosion", "Normal", "Robbery")


def job(run: Path, manifest: Path, *flags: str) -> list[str]:
    """The command line of the job on a manifest."""
    return [
        sys.executable,
        str(ROOT / "jobs/preprocess.py"),
        *flags,
        "--preset",
        "demo",
        "data.kind=manifest",
        f"data.manifest={manifest}",
        f"run={run}",
        "stages.vision.max_actors=1",
        "stages.vision.min_actors=1",
        "stages.language.max_actors=1",
        "stages.language.min_actors=1",
    ]


def run_job(run: Path, manifest: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run the job to its end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        job(run, manifest, *flags),
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six short world videos, and every kind of broken file."""
    folder = tmp_path_factory.mktemp("videos")
    for number, label in enumerate(LABELS):
        scene = Scene(5_000_000 + number, label, min_snippets=11, max_snippets=13)
        render_video(scene, folder / f"good{number}.mp4")
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is no video\n" * 50)
    whole = (folder / "good0.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    with av.open(str(folder / "audio.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 16000
        frame.planes[0].update(bytes(4096))
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(str(folder / "single.mp4"), "w") as container:
        still = container.add_stream("libx264", rate=10)
        still.width, still.height, still.pix_fmt = 160, 120, "yuv420p"
        picture = av.VideoFrame.from_ndarray(Scene(1).render(0), format="rgb24")
        container.mux(still.encode(picture))
        container.mux(still.encode())
    return folder


def write_manifest(path: Path, rows: list[tuple[str, str]]) -> Path:
    """Write a CSV manifest of (file, label) rows."""
    lines = [f"# classes: {', '.join(CLASSES)}", "video_id,path,split,labels"]
    lines += [f"{Path(name).stem},{name},train,{label}" for name, label in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def good(folder: Path) -> Path:
    return write_manifest(
        folder / "good.csv", [(f"good{n}.mp4", label) for n, label in enumerate(LABELS)]
    )


@pytest.fixture(scope="module")
def undisturbed(folder: Path, good: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    run = tmp_path_factory.mktemp("undisturbed")
    finished = run_job(run, good)
    assert finished.returncode == 0, finished.stderr
    assert "6 of 6 videos are ready, 0 failed" in finished.stderr
    return Store(run / "store")


def test_every_video_is_seen_and_explained(undisturbed: Store, good: Path) -> None:
    ids = [video.video_id for video in read_manifest(good).videos]
    assert missing_features(undisturbed, ids, "explanation") == {}
    rows = undisturbed.read_stage("language").table().to_pylist()
    assert all(row["explanation"] and row["captions"] for row in rows)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_up_equal(
    undisturbed: Store, good: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        job(tmp_path, good), env=environment, start_new_session=True, stderr=subprocess.DEVNULL
    )
    parts = tmp_path / "store" / "vision"
    deadline = time.monotonic() + 200
    while not list(parts.glob("*.parquet")):
        assert process.poll() is None, "the job ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {part.name for part in parts.glob("*.parquet")}

    finished = run_job(tmp_path, good)

    assert finished.returncode == 0, finished.stderr
    assert before <= {part.name for part in parts.glob("*.parquet")}
    store = Store(tmp_path / "store")
    rows = sum(stage.table(["video_id"]).num_rows for stage in [store.read_stage("vision")])
    assert rows == len(LABELS)
    for stage in ("vision", "language"):
        assert store.read_stage(stage).digest() == undisturbed.read_stage(stage).digest()


def test_bad_files_cost_only_themselves(folder: Path, tmp_path: Path) -> None:
    bad = ("empty.mp4", "text.mp4", "truncated.mp4", "audio.mp4", "missing.mp4")
    rows = [(name, "Normal") for name in (*bad, "single.mp4", "good1.mp4")]
    manifest = write_manifest(folder / "mixed.csv", rows)

    finished = run_job(tmp_path, manifest, "--strict")

    assert finished.returncode == 1, finished.stderr
    assert "2 of 7 videos are ready, 5 failed" in finished.stderr
    failures = {row["id"]: row["message"] for row in Store(tmp_path / "store").failures.rows()}
    assert set(failures) == {Path(name).stem for name in bad}
    for name in bad:
        assert name in failures[Path(name).stem]
    assert missing_features(Store(tmp_path / "store"), ["single", "good1"], "explanation") == {}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("good0,good0.mp4,train,Normal", "good0"),
        ("other,good1.mp4,train,Fightin", "Fightin"),
    ],
    ids=["duplicate id", "unknown label"],
)
def test_a_wrong_manifest_is_refused_with_its_line(
    good: Path, folder: Path, tmp_path: Path, row: str, complaint: str
) -> None:
    manifest = folder / "wrong.csv"
    manifest.write_text(good.read_text() + row + "\n")
    finished = run_job(tmp_path, manifest)
    assert finished.returncode == 2
    assert "wrong.csv:9" in finished.stderr.replace("\n", "")
    assert complaint in finished.stderr
    assert not (tmp_path / "store").exists()


def test_an_empty_manifest_is_refused(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path / "none.csv", [])
    finished = run_job(tmp_path / "run", manifest)
    assert finished.returncode == 2
    assert "none.csv" in finished.stderr
