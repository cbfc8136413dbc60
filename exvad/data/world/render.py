"""Render the demo world: scenes as H.264 files, and their manifest."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from fractions import Fraction
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Literal

from exvad.data.atomic import atomic_file
from exvad.data.manifest import Manifest
from exvad.data.records import Event, Video
from exvad.data.world.activities import CLASSES, NORMAL
from exvad.data.world.scene import Scene
from exvad.data.world.seed_ranges import seeds

KEYFRAME_INTERVAL = 96


def render_video(scene: Scene, path: Path) -> None:
    """Write a scene to an MP4 file (H.264), atomically."""
    import av

    with atomic_file(path) as file, av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(scene.fps))
        stream.height, stream.width = scene.render(0).shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        stream.options = {"preset": "ultrafast", "crf": "21", "g": str(KEYFRAME_INTERVAL)}
        for index in range(scene.num_frames):
            frame = av.VideoFrame.from_ndarray(scene.render(index), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def world_videos(
    split: Literal["train", "test"], count: int, seed: int, folder: Path
) -> list[tuple[Scene, Video]]:
    """Return the scenes of a split with their records, without rendering them.

    Half of the videos are normal; the classes of the anomalies alternate. Training videos have a
    label only, test videos have events too.
    """
    videos = []
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
        videos.append((scene, video))
    return videos


def render_world(
    folder: str | Path,
    train_videos: int,
    test_videos: int,
    seed: int = 0,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Render the videos of a world that do not exist yet, and return its manifest.

    Args:
        folder: the folder of the video files.
        train_videos: number of training videos.
        test_videos: number of test videos.
        seed: seed of the world; different seeds never share a scene.
        workers: rendering processes.
        progress: called with the number of existing files and the total after each rendering.
    """
    folder = Path(folder).resolve() / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    videos = world_videos("train", train_videos, seed, folder)
    videos += world_videos("test", test_videos, seed, folder)
    missing = [
        (scene, Path(video.path)) for scene, video in videos if not Path(video.path).exists()
    ]
    done = len(videos) - len(missing)
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_end_with_parent
    ) as pool:
        jobs = [pool.submit(render_video, scene, path) for scene, path in missing]
        for job in as_completed(jobs):
            job.result()
            done += 1
            if progress is not None:
                progress(done, len(videos))
    return Manifest(CLASSES, tuple(video for _, video in videos))


def _end_with_parent() -> None:
    """End this process when its parent ends, even if the parent was killed."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
