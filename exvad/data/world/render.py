"""Render scenes to H.264 files and list them in a manifest."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from exvad.data.atomic import atomic_file
from exvad.data.manifest import Manifest
from exvad.data.records import Event, Video
from exvad.data.world.activities import CLASSES, NORMAL
from exvad.data.world.scene import Scene
from exvad.data.world.seeds import seeds

KEYFRAME_EVERY = 96


def render_video(scene: Scene, path: Path) -> None:
    """Write a scene to an MP4 file (H.264), which appears only once it is complete."""
    import av

    with atomic_file(path) as file, av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(scene.fps))
        stream.height, stream.width = scene.render(0).shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        stream.options = {"preset": "ultrafast", "crf": "21", "g": str(KEYFRAME_EVERY)}
        for number in range(scene.num_frames):
            picture = av.VideoFrame.from_ndarray(scene.render(number), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def world_videos(
    split: Literal["train", "test"], count: int, seed: int, folder: Path
) -> list[tuple[Scene, Video]]:
    """Draw the scenes of a split, half of them normal and the anomalies' classes in turn."""
    listed = []
    for number, scene_seed in enumerate(seeds(split, count, seed)):
        label = NORMAL if number % 2 else CLASSES[1 + number // 2 % (len(CLASSES) - 1)]
        scene = Scene(scene_seed, label)
        video_id = f"{split}{number:04d}"
        video = Video(
            video_id=video_id,
            path=str(folder / f"{video_id}.mp4"),
            split=split,
            labels=(label,),
            events=tuple(Event(*event) for event in scene.events) if split == "test" else (),
            num_frames=scene.num_frames,
            fps=scene.fps,
        )
        listed.append((scene, video))
    return listed


def render_world(
    folder: str | Path,
    train_videos: int,
    test_videos: int,
    seed: int = 0,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Render a world's videos that are not there yet and return its manifest.

    Args:
        folder: where the files go.
        train_videos: how many to train on.
        test_videos: how many to test on.
        seed: which draw of the world.
        workers: rendering processes.
        progress: told how many of how many files are there.

    Returns:
        The manifest; training videos carry their label only, test videos their events too.
    """
    folder = Path(folder).resolve() / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    listed = world_videos("train", train_videos, seed, folder)
    listed += world_videos("test", test_videos, seed, folder)
    missing = [
        (scene, Path(video.path)) for scene, video in listed if not Path(video.path).exists()
    ]
    done = len(listed) - len(missing)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(render_video, scene, path) for scene, path in missing]
        for job in as_completed(jobs):
            job.result()
            done += 1
            if progress is not None:
                progress(done, len(listed))
    return Manifest(CLASSES, tuple(video for _, video in listed))
