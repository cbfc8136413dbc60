"""Folders of videos: find the videos, and make a manifest of one subfolder per class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import cast

from exvad.data.annotations.class_names import composed_name, folded_name
from exvad.data.manifest import Manifest, hold_out
from exvad.data.records import SPLITS, ManifestError, Split, Video
from exvad.data.storage.frame_folders import holds_image, is_frame_folder
from exvad.data.storage.patterns import matching_paths
from exvad.data.storage.places import is_uri
from exvad.data.storage.video_names import VIDEO_SUFFIXES, is_video_name


def folder_per_class(
    root: str | Path, normal: str = "Normal", test_fraction: float = 0.25, seed: int = 0
) -> Manifest:
    """Make a manifest of a folder with one subfolder of videos per class.

    The class folders may also lie in `train/` and `test/` (and `val/`). A class folder may hold
    videos at any depth, files or folders of frames (see `video_files`); its name is the label.
    Without a `test/` folder, `hold_out` chooses test videos of every class. A video's id is its
    path below the root without the suffix.

    Args:
        root: a local folder.
        normal: the name of the normal class; the case of its folder does not matter.
        test_fraction: share of each class that is held out for testing if there is no `test/`
            folder; 0: none.
        seed: another seed holds out other videos.

    Raises:
        ManifestError: there is no such folder, no class folder, no normal class, or no video.
    """
    top, normal = Path(root).absolute(), composed_name(normal)
    if not top.is_dir():
        hint = "; for a bucket write a manifest, as data.kind=folder needs a local folder"
        raise ManifestError([f"{root}: there is no such folder{hint if is_uri(root) else ''}"])
    paths = [PurePosixPath(path.relative_to(top).as_posix()) for path in video_files(top)]
    if not paths:
        suffixes = " ".join(sorted(VIDEO_SUFFIXES))
        raise ManifestError([f"{root}: has no videos at any depth ({suffixes})"])
    folders = {path.parts[0].lower() for path in paths if len(path.parts) > 1}
    has_splits = {"train"} <= folders <= set(SPLITS)
    loose = [path for path in paths if len(path.parts) < 2 + has_splits]
    if loose:
        raise ManifestError([f"{root}/{path}: lies in no class folder; move it" for path in loose])
    classes = _class_names((path.parts[has_splits] for path in paths), normal, str(root))
    stems = Counter(_without_suffix(path) for path in paths)
    videos = [
        Video(
            video_id=str(path if stems[_without_suffix(path)] > 1 else _without_suffix(path)),
            path=str(top / path),
            split=cast("Split", path.parts[0].lower()) if has_splits else "train",
            labels=(classes[folded_name(path.parts[has_splits])],),
        )
        for path in paths
    ]
    if all(video.split != "test" for video in videos):
        test_ids = hold_out([v for v in videos if v.split == "train"], test_fraction, seed)
        videos = [replace(v, split="test") if v.video_id in test_ids else v for v in videos]
    abnormal = sorted(set(classes.values()) - {normal})
    return Manifest((normal, *abnormal), tuple(videos))


def video_files(top: Path) -> Iterator[Path]:
    """Yield the videos below a folder, sorted by name; none if the folder is absent.

    A video is a file with a video suffix (`VIDEO_SUFFIXES`), or a folder of frames: one that holds
    images, no video and no folder; images beside a video are none of its frames. Other files and
    names that begin with a dot are skipped, and so are the frames of a video beside it: a folder
    with the name of the video.
    """
    visited: set[str] = set()
    for folder, subfolders, files in os.walk(top, followlinks=True):
        # Class folders are often links, so links are followed, but each folder is visited once.
        real_path = os.path.realpath(folder)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if real_path in visited:
            subfolders.clear()
            continue
        visited.add(real_path)
        videos = [name for name in sorted(files) if is_video_name(name)]
        if not videos and not subfolders and Path(folder) != top and is_frame_folder(Path(folder)):
            yield Path(folder)
        stems = {Path(name).stem for name in videos}
        subfolders[:] = [
            name
            for name in subfolders
            if name not in stems or not is_frame_folder(Path(folder, name))
        ]
        yield from (Path(folder, name) for name in videos)


def matching_videos(pattern: str) -> list[str]:
    """Return the videos that a pattern stands for: those that match and those in folders that do.

    A file that links lead to along several ways is one video. What lies in a folder of frames that
    matches is part of that video.

    Args:
        pattern: the pattern.
    """
    videos: dict[str, str] = {}
    for path in matching_paths(pattern):
        for video in videos_at(path.rstrip("/") or path):
            folder, name = os.path.split(video)
            videos.setdefault(os.path.join(os.path.realpath(folder), name), video)  # noqa: PTH118
    frame_folders = {os.path.realpath(video) for video in videos.values() if Path(video).is_dir()}
    return [
        video
        for place, video in videos.items()
        if os.path.dirname(place) not in frame_folders  # noqa: PTH120
    ]


def videos_at(path: str) -> list[str]:
    """Return the path itself, or the videos below it if it is a folder but no video.

    Args:
        path: a file or folder.
    """
    folder = Path(path)
    if not folder.is_dir() or is_frame_folder(folder):
        return [path]
    return [str(video) for video in video_files(folder)]


def _without_suffix(path: PurePosixPath) -> PurePosixPath:
    """Return the path of a video without its suffix; a folder of frames has none."""
    return path.with_suffix("") if is_video_name(path.name) else path


def video_finder(root: str | Path) -> Callable[[str], str]:
    """Return a function from a path relative to `root` to the path or URI of that video.

    If a local video is missing there, the function returns a file of the same name below the root,
    if there is one.
    """
    if "://" in str(root):
        base_uri = str(root).rstrip("/")
        return lambda relative: f"{base_uri}/{relative}"
    top = Path(root).absolute()

    @cache
    def paths_by_name() -> dict[str, Path]:
        paths: dict[str, Path] = {}
        for path in video_files(top):
            paths.setdefault(path.name, path)
        return paths

    def find(relative: str) -> str:
        expected = top / relative
        is_there = expected.is_file() or holds_image(expected)
        return str(expected if is_there else paths_by_name().get(expected.name, expected))

    return find


def _class_names(folders: Iterable[str], normal: str, root: str) -> dict[str, str]:
    """Return the class of each folder name, folded name → class."""
    # A class may be `fighting` in one split and `Fighting` in another: the first name counts.
    names: dict[str, str] = {}
    for folder in sorted(set(folders)):
        names.setdefault(folded_name(folder), composed_name(folder))
    listed = ", ".join(sorted(names.values()))
    if folded_name(normal) not in names:
        raise ManifestError(
            [
                f"{root}: no folder is called {normal!r}; the class folders are {listed}. Rename "
                "the folder of the normal videos"
            ]
        )
    if len(names) < 2:
        raise ManifestError([f"{root}: {listed} is the only class folder; add abnormal ones"])
    return names | {folded_name(normal): normal}
