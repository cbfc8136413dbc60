"""Folders of videos: which there are, and a manifest from one subfolder per class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import cast

from exvad.data.manifest import Manifest, hold_out
from exvad.data.manifest_checks import SPLITS
from exvad.data.records import ManifestError, Split, Video

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
    """A folder with one subfolder of videos per class, or `train/` and `test/` with such in them.

    A class folder may hold videos at any depth; its name is the label. Files without a video
    suffix (`VIDEO_SUFFIXES`) and names that begin with a dot are passed over. Where there is no
    `test/`, part of every class is held out for testing, chosen by `exvad.data.manifest.hold_out`.
    A video's id is its path below the root without the suffix.

    Args:
        root: a local folder.
        normal: the name of the normal class; its folder is found whatever the case.
        test_fraction: of each class, held out where there is no `test/` folder; 0: none.
        seed: another seed holds out other videos.

    Raises:
        ManifestError: there is no such folder, no class folder, no normal one, or no video.
    """
    top = Path(root).absolute()
    if not top.is_dir():
        raise ManifestError([f"{root}: there is no such folder"])
    paths = [PurePosixPath(path.relative_to(top).as_posix()) for path in video_files(top)]
    if not paths:
        kinds = " ".join(sorted(VIDEO_SUFFIXES))
        raise ManifestError([f"{root}: holds no videos, at no depth ({kinds})"])
    heads = {path.parts[0].lower() for path in paths if len(path.parts) > 1}
    by_split = {"train"} <= heads <= set(SPLITS)
    loose = [path for path in paths if len(path.parts) < 2 + by_split]
    if loose:
        raise ManifestError([f"{root}/{path}: lies in no class folder; move it" for path in loose])
    names = _class_names((path.parts[by_split] for path in paths), normal, str(root))
    stems = Counter(path.with_suffix("") for path in paths)
    videos = [
        Video(
            video_id=str(path if stems[path.with_suffix("")] > 1 else path.with_suffix("")),
            path=str(top / path),
            split=cast("Split", path.parts[0].lower()) if by_split else "train",
            labels=(names[path.parts[by_split].casefold()],),
        )
        for path in paths
    ]
    if all(video.split != "test" for video in videos):
        tested = hold_out([v for v in videos if v.split == "train"], test_fraction, seed)
        videos = [replace(v, split="test") if v.video_id in tested else v for v in videos]
    abnormal = sorted(set(names.values()) - {normal})
    return Manifest((normal, *abnormal), tuple(videos))


def _class_names(folders: Iterable[str], normal: str, root: str) -> dict[str, str]:
    # One class may be `fighting` in one split and `Fighting` in another: the first name counts.
    names: dict[str, str] = {}
    for folder in sorted(set(folders)):
        names.setdefault(folder.casefold(), folder)
    shown = ", ".join(sorted(names.values()))
    if normal.casefold() not in names:
        raise ManifestError(
            [
                f"{root}: no folder is called {normal!r}; the class folders are {shown}. Rename "
                "the one of the normal videos, or say what the normal class is called"
            ]
        )
    if len(names) < 2:
        raise ManifestError([f"{root}: {shown} is the only class folder; add abnormal ones"])
    return names | {normal.casefold(): normal}


def video_files(top: Path) -> Iterator[Path]:
    """The video files below a folder, in order of their names; none where it is absent.

    Files without a video suffix and names that begin with a dot are passed over.
    """
    seen: set[str] = set()
    for folder, subfolders, files in os.walk(top, followlinks=True):
        # Links are followed, since class folders are often links; never twice into one folder.
        real = os.path.realpath(folder)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES:
                yield Path(folder, name)


def video_finder(root: str | Path) -> Callable[[str], str]:
    """A function from a path relative to `root` to where that video is, or should be.

    Where a local video is not there, one of the same name anywhere below the root is taken.
    """
    if "://" in str(root):
        base = str(root).rstrip("/")
        return lambda relative: f"{base}/{relative}"
    top = Path(root).absolute()

    @cache
    def by_name() -> dict[str, Path]:
        found: dict[str, Path] = {}
        for path in video_files(top):
            found.setdefault(path.name, path)
        return found

    def find(relative: str) -> str:
        expected = top / relative
        return str(expected if expected.is_file() else by_name().get(expected.name, expected))

    return find
