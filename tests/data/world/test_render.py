"""Rendering writes H.264 files, once each, and a manifest for weak supervision."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from exvad.data.manifest import Manifest
from exvad.data.manifest_files import read_manifest, write_manifest
from exvad.data.world import CLASSES, NORMAL, Scene, render_video, render_world
from exvad.data.world.render import world_videos
from exvad.video.survey import probe

TRAIN, TEST = 2, 1


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """Return the folder of a small world, and its manifest."""
    folder = tmp_path_factory.mktemp("world")
    return folder, render_world(folder, TRAIN, TEST, seed=5, workers=1)


def test_render_video_writes_an_h264_file_of_all_frames(tmp_path: Path) -> None:
    scene, path = Scene(3, "Explosion", 11, 11), tmp_path / "v.mp4"
    render_video(scene, path)
    info = probe(path)
    assert info.codec == "h264"
    assert info.num_frames == scene.num_frames
    assert info.fps == pytest.approx(scene.fps)
    assert (info.width, info.height) == (160, 120)
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == scene.num_frames
    for number in (0, scene.events[0][0] + 5, scene.num_frames - 1):
        error = np.abs(frames[number].astype(int) - scene.render(number))
        assert error.mean() < 8
    assert [entry.name for entry in tmp_path.iterdir()] == ["v.mp4"]


def test_render_video_leaves_no_file_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def render(self: Scene, frame: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        if frame == 3:
            raise OSError("no more")
        return np.zeros((120, 160, 3), np.uint8)

    monkeypatch.setattr(Scene, "render", render)
    with pytest.raises(OSError, match="no more"):
        render_video(Scene(3), tmp_path / "v.mp4")
    assert list(tmp_path.iterdir()) == []


def test_render_world_writes_the_files_of_its_manifest(world: tuple[Path, Manifest]) -> None:
    _, manifest = world
    assert manifest.classes == CLASSES
    for video in manifest.videos:
        info = probe(video.path)
        assert (info.num_frames, info.codec) == (video.num_frames, "h264")
        assert info.fps == pytest.approx(video.fps)


def test_the_manifest_reads_back_the_same(world: tuple[Path, Manifest], tmp_path: Path) -> None:
    _, manifest = world
    write_manifest(manifest, tmp_path / "manifest.parquet")
    assert read_manifest(tmp_path / "manifest.parquet") == manifest


def test_render_world_renders_missing_files_only(world: tuple[Path, Manifest]) -> None:
    folder, manifest = world
    gone, *kept = [Path(video.path) for video in manifest.videos]
    stamps = {path: path.stat().st_mtime_ns for path in kept}
    before = gone.read_bytes()
    gone.unlink()
    calls: list[tuple[int, int]] = []
    again = render_world(
        folder, TRAIN, TEST, seed=5, workers=1, progress=lambda done, of: calls.append((done, of))
    )
    assert again == manifest
    assert gone.read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in kept} == stamps
    assert calls == [(3, 3)]


def test_training_videos_have_a_label_and_no_events(tmp_path: Path) -> None:
    for scene, video in world_videos("train", 24, 0, tmp_path):
        assert video.labels == (scene.label,)
        assert video.events == ()


def test_test_videos_have_the_events_of_their_scene(tmp_path: Path) -> None:
    for scene, video in world_videos("test", 24, 0, tmp_path):
        assert video.class_events() == scene.events
        assert bool(video.events) == video.abnormal


def test_half_of_a_split_is_normal_and_the_classes_of_anomalies_alternate(tmp_path: Path) -> None:
    labels = [video.labels[0] for _, video in world_videos("test", 24, 0, tmp_path)]
    assert labels.count(NORMAL) == 12
    assert {labels.count(label) for label in CLASSES[1:]} == {2}


def test_a_larger_world_begins_with_the_smaller_one(tmp_path: Path) -> None:
    small, large = (world_videos("train", count, 0, tmp_path) for count in (3, 9))
    assert large[:3] == small


def test_no_two_scenes_of_a_world_share_a_seed(tmp_path: Path) -> None:
    listed = world_videos("train", 50, 0, tmp_path) + world_videos("test", 50, 0, tmp_path)
    assert len({scene.seed for scene, _ in listed}) == 100


def test_rendering_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "from exvad.data.world import render_world\n"
        f"if __name__ == '__main__': render_world({str(tmp_path)!r}, 200, 1, seed=1, workers=2)"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("seed1/*.mp4")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.kill()
    _, left = psutil.wait_procs(children, timeout=30)
    assert left == []
