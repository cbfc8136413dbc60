"""The names of video files: suffixes by which videos are found in folders."""

from __future__ import annotations

from pathlib import PurePath

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("264", "265", "3g2", "3gp", "asf", "av1", "avi", "dav", "divx", "dv", "f4v", "flv"),
        *("gif", "h264", "h265", "hevc", "ivf", "m2t", "m2ts", "m2v", "m4v", "mjpeg", "mjpg"),
        *("mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "nut", "obu", "ogm", "ogv", "ps", "qt"),
        *("apng", "rm", "rmvb", "tp", "trp", "ts", "vob", "webm", "wmv", "y4m"),
    )
)


def is_video_name(name: str) -> bool:
    """Return whether a file in a folder is a video by its name; hidden files are not.

    Args:
        name: the name without folders.
    """
    return not name.startswith(".") and PurePath(name).suffix.lower() in VIDEO_SUFFIXES
