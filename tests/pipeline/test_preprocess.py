"""The preprocess job on real Ray with the demo's models: good and broken files, and a kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import av
import pytest

from exvad.aegm.prompts import Prompt, load_prompt
from exvad.cli.main import main
from exvad.data.world import Scene
from exvad.store.completeness import missing_features
from exvad.store.store import Store
from tests.helpers.processes import ROOT, exvad_command, run_exvad
from tests.helpers.ray_sessions import cluster_of_nodes
from tests.helpers.world_videos import render_videos, write_listing

LABELS = ("Normal", "Fighting", "Arson", "Explosion", "Normal", "Robbery")
GOOD = ("v0", "v1", "v2", "v3", "v4", "v5", "single")
BAD = ("empty", "text", "truncated", "audio", "missing")
ONE_ACTOR = [
    f"stages.{stage}.{end}_actors=1" for stage in ("vision", "language") for end in ("min", "max")
]


def arguments(run: Path, listing: Path, *flags: str) -> list[str]:
    """Return the arguments of the job on a manifest."""
    dataset = ["data.kind=manifest", f"data.manifest={listing}"]
    return ["preprocess", *flags, *dataset, f"run={run}", *ONE_ACTOR]


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of six good videos, a video of one frame, and every kind of broken file."""
    folder = tmp_path_factory.mktemp("videos")
    videos = render_videos(folder, LABELS, seed=5_000_000)
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is no video\n" * 50)
    content = videos[0][0].read_bytes()
    (folder / "truncated.mp4").write_bytes(content[: len(content) // 2])
    write_audio(folder / "audio.mp4")
    write_single_frame(folder / "single.mp4")
    others = [(folder / f"{name}.mp4", "Normal") for name in ("single", *BAD)]
    return write_listing(folder / "videos.csv", [*videos, *others])


def write_audio(path: Path) -> None:
    """Write a file that has sound but no video."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 16000
        frame.planes[0].update(bytes(4096))
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_single_frame(path: Path) -> None:
    """Write a video of one frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        frame = av.VideoFrame.from_ndarray(Scene(1).render(0), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def undisturbed(listing: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store that the job fills; broken files fail alone, but --strict reports them."""
    run = tmp_path_factory.mktemp("undisturbed")
    finished = run_exvad(*arguments(run, listing, "--strict"))
    assert finished.returncode == 1, finished.stderr
    assert "7 of 12 videos are ready, 5 failed" in finished.stderr
    assert "--retry-failed" in finished.stderr
    return Store(run / "store")


def test_preprocess_encodes_and_explains_every_good_video(undisturbed: Store) -> None:
    assert missing_features(undisturbed, GOOD, "explanation") == {}
    rows = undisturbed.read_stage("language").table().to_pylist()
    assert {row["video_id"] for row in rows} == set(GOOD)
    assert all(row["explanation"] and row["captions"] for row in rows)


def test_preprocess_logs_each_bad_file_with_its_name(undisturbed: Store) -> None:
    failures = {row["id"]: row["message"] for row in undisturbed.failures.rows()}
    assert set(failures) == set(BAD)
    for name in BAD:
        assert f"{name}.mp4" in failures[name]


@pytest.mark.slow
def test_preprocess_resumes_after_a_kill_and_ends_up_equal(
    undisturbed: Store, listing: Path, tmp_path: Path
) -> None:
    command = exvad_command(*arguments(tmp_path, listing))
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    parts = tmp_path / "store" / "vision"
    deadline = time.monotonic() + 200
    while not list(parts.glob("*.parquet")):
        assert process.poll() is None, "the job ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {part.name for part in parts.glob("*.parquet")}

    finished = run_exvad(*arguments(tmp_path, listing))

    assert finished.returncode == 0, finished.stderr
    assert "7 of 12 videos are ready, 5 failed" in finished.stderr
    assert before <= {part.name for part in parts.glob("*.parquet")}
    store = Store(tmp_path / "store")
    assert store.read_stage("vision").table(["video_id"]).num_rows == len(GOOD)
    for stage in ("vision", "language"):
        assert store.read_stage(stage).digest() == undisturbed.read_stage(stage).digest()


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("v0,v0.mp4,train,Normal", "v0"),
        ("other,v1.mp4,train,Fightin", "Fightin"),
    ],
    ids=["duplicate id", "unknown label"],
)
def test_preprocess_refuses_a_wrong_manifest_with_its_line(
    listing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], row: str, complaint: str
) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(listing.read_text() + row + "\n")
    assert main(arguments(tmp_path / "run", wrong)) == 2
    message = capsys.readouterr().err
    assert "wrong.csv:15" in message.replace("\n", "")
    assert complaint in message
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_preprocess_on_a_cluster_takes_relative_files_of_the_folder_it_is_started_in(
    tmp_path: Path,
) -> None:
    write_listing(tmp_path / "videos.csv", render_videos(tmp_path, LABELS[:1], seed=5_000_000))
    packaged = load_prompt("explanation_demo")
    (tmp_path / "my.txt").write_text(packaged.text)
    settings = arguments(Path("run"), Path("videos.csv"), "llm.prompt=my.txt")
    with cluster_of_nodes(2) as cluster:
        environment = {"RAY_ADDRESS": cluster.address, "PYTHONPATH": str(ROOT)}
        finished = run_exvad(*settings, folder=tmp_path, environment=environment)
    assert finished.returncode == 0, finished.stderr
    assert "1 of 1 video is ready, 0 failed" in finished.stderr
    (row,) = Store(tmp_path / "run/store").read_stage("language").table().to_pylist()
    assert row["prompt"] == Prompt("my.txt", packaged.text).identity


def test_preprocess_refuses_an_empty_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = write_listing(tmp_path / "none.csv", [])
    assert main(arguments(tmp_path / "run", listing)) == 2
    assert "none.csv" in capsys.readouterr().err


def test_preprocess_refuses_guided_captions_of_vllm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"run={tmp_path}/run", "captioner.placement=guided", "captioner.backend=vllm"]
    assert main(["preprocess", "--no-check", *arguments]) == 2
    assert "captions are written before the first look at the frames" in capsys.readouterr().err


def test_preprocess_refuses_segments_of_vllm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"run={tmp_path}/run", "llm.segment_captions=16", "llm.backend=vllm"]
    assert main(["preprocess", "--no-check", *arguments]) == 2
    assert "llm.backend=vllm a video has one prompt" in capsys.readouterr().err
