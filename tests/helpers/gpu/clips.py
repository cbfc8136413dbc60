"""Clips of the demo world at the size of a surveillance camera, with labels and events."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from exvad.data.manifest import Manifest
from exvad.data.manifest_files import write_manifest
from exvad.data.records import Event, Split, Video
from exvad.data.world import Scene
from exvad.data.world.activities import CLASSES

TRAINED = ("Normal", "Fighting", "Normal", "Arson", "Normal", "Explosion", "Normal", "Robbery")
SPLITS: dict[Split, tuple[str, ...]] = {"train": TRAINED, "val": TRAINED[:4], "test": TRAINED[:4]}
HD, FULL_HD = (1280, 720), (1920, 1080)


def write_clip_video(scene: Scene, path: Path, size: tuple[int, int]) -> None:
    """Write a scene as an H.264 file, enlarged to a size of width and height."""
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "crf": "23", "g": "50"}
        stream = container.add_stream("libx264", rate=Fraction(scene.fps), options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(scene.num_frames):
            frame = av.VideoFrame.from_ndarray(scene.render(index), format="rgb24")
            container.mux(stream.encode(frame.reformat(*size)))
        container.mux(stream.encode())


def write_clips(folder: Path, is_large: bool) -> Path:
    """Write clips of all splits, every fourth of them in full HD; return their manifest.

    Args:
        folder: the folder of the clips.
        is_large: whether they have the size of a camera; otherwise that of the demo world.
    """
    videos: list[Video] = []
    for split, labels in SPLITS.items():
        for number, label in enumerate(labels):
            scene = Scene(7_000_000 + len(videos), label, 11, 12)
            path = folder / f"{split}{number}.mp4"
            height, width = scene.render(0).shape[:2]
            large = FULL_HD if number % 4 == 0 else HD
            write_clip_video(scene, path, large if is_large else (width, height))
            events = tuple(Event(*event) for event in scene.events) if split == "test" else ()
            videos.append(Video(path.stem, str(path), split, (label,), events))
    listing = folder / "videos.csv"
    write_manifest(Manifest(CLASSES, tuple(videos)), str(listing))
    return listing
