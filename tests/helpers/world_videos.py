"""Short videos of the demo world, and manifests that list them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from exvad.data.world import Scene, render_video
from exvad.data.world.activities import CLASSES


def render_videos(
    folder: Path, labels: Sequence[str], seed: int, snippets: tuple[int, int] = (11, 13)
) -> list[tuple[Path, str]]:
    """Render one video per label, v0.mp4, v1.mp4, ….

    Args:
        folder: the folder of the videos.
        labels: the class of each video.
        seed: the seed of the first video; the others follow.
        snippets: the smallest and the largest number of snippets.

    Returns:
        File and class of each video.
    """
    videos = []
    for index, label in enumerate(labels):
        path = folder / f"v{index}.mp4"
        scene = Scene(seed + index, label, min_snippets=snippets[0], max_snippets=snippets[1])
        render_video(scene, path)
        videos.append((path, label))
    return videos


def write_listing(path: Path, videos: Iterable[tuple[Path, str]]) -> Path:
    """Write a CSV manifest of training videos.

    Args:
        path: the file of the manifest.
        videos: file and class of each video.
    """
    lines = [f"# classes: {', '.join(CLASSES)}", "video_id,path,split,labels"]
    lines += [f"{video.stem},{video},train,{label}" for video, label in videos]
    path.write_text("\n".join(lines) + "\n")
    return path
