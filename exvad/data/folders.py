"""Folders of videos: find the videos, and make a manifest of one subfolder per class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import cast

from exvad.data.manifest import Manifest, hold_out
from exvad.data.records import SPLITS, ManifestError, Split, Video
from exvad.data.storage.places import is_uri

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3gp", "asf", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts"),
        *("ogv", "ts", "vob", "webm", "wmv"),
    )
)


def folder_per_class(
    root: str | Path, normal: str = "Normal", test_fraction: float = 0.25, seed: int = 0
) -> Manifest:
    """Make a manifest of a folder with one subfolder of videos per class.

    The class folders may also lie in `train/` and `test/` (and `val/`). A class folder may hold
    videos at any depth; its name is the label. Files without a video suffix (`VIDEO_SUFFIXES`) and
    names that begin with a dot are skipped. Without a `test/` folder, `hold_out` chooses test
    videos of every class. A video's id is its path below the root without the suffix.

    Args:
        root: a local folder.
        normal: the name of the normal class; the case of its folder does not matter.
        test_fraction: share of each class that is held out for testing if there is no `test/`
            folder; 0: none.
        seed: another seed holds out other videos.

    Raises:
        ManifestError: there is no such folder, no class folder, no normal class, or no video.
    """
    top = Path(root).absolute()
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
    stems = Counter(path.with_suffix("") for path in paths)
    videos = [
        Video(
            video_id=str(path if stems[path.with_suffix("")] > 1 else path.with_suffix("")),
            path=str(top / path),
            split=cast("Split", path.parts[0].lower()) if has_splits else "train",
            labels=(classes[path.parts[has_splits].casefold()],),
        )
        for path in paths
    ]
    if all(video.split != "test" for video in videos):
        test_ids = hold_out([v for v in videos if v.split == "train"], test_fraction, seed)
        videos = [replace(v, split="test") if v.video_id in test_ids else v for v in videos]
    abnormal = sorted(set(classes.values()) - {normal})
    return Manifest((normal, *abnormal), tuple(videos))


def video_files(top: Path) -> Iterator[Path]:
    """Yield the video files below a folder, sorted by name; none if the folder is absent.

    Files without a video suffix and names that begin with a dot are skipped.
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
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES:
                yield Path(folder, name)


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
        return str(expected if expected.is_file() else paths_by_name().get(expected.name, expected))

    return find


def _class_names(folders: Iterable[str], normal: str, root: str) -> dict[str, str]:
    """Return the class of each folder name, folded case → class."""
    # A class may be `fighting` in one split and `Fighting` in another: the first name counts.
    names: dict[str, str] = {}
    for folder in sorted(set(folders)):
        names.setdefault(folder.casefold(), folder)
    listed = ", ".join(sorted(names.values()))
    if normal.casefold() not in names:
        raise ManifestError(
            [
                f"{root}: no folder is called {normal!r}; the class folders are {listed}. Rename "
                "the folder of the normal videos"
            ]
        )
    if len(names) < 2:
        raise ManifestError([f"{root}: {listed} is the only class folder; add abnormal ones"])
    return names | {normal.casefold(): normal}
