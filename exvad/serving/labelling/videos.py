"""The videos of a labelling session: found in folders, by patterns or by name, queued once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from exvad.data.folders import video_files
from exvad.data.storage.patterns import is_pattern, matching_paths
from exvad.data.storage.places import is_uri
from exvad.serving.queue.analyses import AnalysisQueue
from exvad.serving.queue.reviews import read_paths
from exvad.serving.schemas.analyses import AnalysisOptions


class FoundVideos(NamedTuple):
    """The videos that names lead to.

    Args:
        videos: their paths, without links.
        notes: what was left out, one sentence each.
    """

    videos: list[Path]
    notes: list[str]


class QueuedVideos(NamedTuple):
    """What became of the videos of a session.

    Args:
        added: number of videos that were queued now.
        known: number of videos that were queued earlier.
        root: the folder that all videos of the queue are in.
    """

    added: int
    known: int
    root: Path


def find_videos(names: Sequence[str]) -> FoundVideos:
    """Find the videos to label.

    Args:
        names: videos, folders of videos at any depth, or patterns such as `cam*/*.mp4`.

    Raises:
        ValueError: a name leads to no video.
    """
    found = list(dict.fromkeys(path for name in names for path in _find(name)))
    notes = [f"{path} is a folder of frames and is left out" for path in found if path.is_dir()]
    files = [path for path in found if not path.is_dir()]
    notes += [
        f"{str(path)!r} is left out: rename it, without line breaks and blanks at its ends"
        for path in files
        if not _is_storable(path)
    ]
    return FoundVideos([path for path in files if _is_storable(path)], notes)


def queue_videos(
    videos: Sequence[Path], queue: AnalysisQueue, options: AnalysisOptions | None = None
) -> QueuedVideos:
    """Queue the analysis of every video that the queue does not have yet.

    Args:
        videos: the videos, without links.
        queue: the queue of analyses.
        options: how the videos are analyzed; None for the defaults.

    Raises:
        ValueError: there is no video, or the videos have no folder in common.
    """
    known = set(read_paths(queue))
    if not videos and not known:
        raise ValueError("there is no video to label: name videos, or folders of videos")
    root = _common_folder([*videos, *known])
    new = [video for video in videos if video not in known]
    for video in new:
        queue.add(video.relative_to(root).as_posix(), video, uploaded=False, options=options)
    return QueuedVideos(len(new), len(videos) - len(new), root)


def _find(name: str) -> Iterator[Path]:
    """Yield the videos of a name as paths without links.

    Raises:
        ValueError: there are none.
    """
    if is_uri(name):
        raise ValueError(f"{name}: is not on this machine; download the videos first")
    has_matches = not Path(name).exists() and is_pattern(name)
    paths = [Path(path) for path in matching_paths(name)] if has_matches else [Path(name)]
    found = [
        video.resolve()
        for path in paths
        for video in (video_files(path) if path.is_dir() else [path])
        if video.exists()
    ]
    if not found:
        reason = "has no videos at any depth" if Path(name).is_dir() else "there is no such video"
        raise ValueError(f"{name}: {reason}")
    yield from found


def _is_storable(path: Path) -> bool:
    """Return whether the database and a manifest can store a path."""
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return text == text.strip() and not set("\r\n\0") & set(text)


def _common_folder(videos: Sequence[Path]) -> Path:
    """Return the folder that all videos are in; the server reads no file outside of it.

    Raises:
        ValueError: it is the root of the file system.
    """
    root = Path(os.path.commonpath([video.parent for video in videos]))
    if root == Path(root.anchor):
        raise ValueError(
            f"the videos have no folder in common but {root}, and the server would read every "
            "file below it: label them in two sessions, with a manifest each"
        )
    return root
