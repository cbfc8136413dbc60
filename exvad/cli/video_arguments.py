"""The videos that arguments of a command name: files, URIs, folders and patterns."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from exvad.config.addresses import shown_address
from exvad.data.folders import matching_videos, videos_at
from exvad.data.storage.frame_folders import images_and_videos
from exvad.data.storage.patterns import is_pattern, matching_paths


def expand_videos(arguments: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Return the videos that arguments name, in their order, and the arguments that name none.

    A file is taken as it is, whatever its name and suffix, and so is a URI. A folder of frames is
    one video; any other folder, also one with images and videos, stands for the videos below it.
    What does not exist and holds `*`, `?` or `[` is a pattern, where `**` stands for folders at any
    depth; a file that it comes to along several links is one video.

    Args:
        arguments: the arguments.

    Returns:
        The videos, and argument → why it names none.
    """
    videos: dict[str, None] = {}
    problems: dict[str, str] = {}
    for argument in arguments:
        if is_there(argument):
            found = videos_at(argument)
            reason = "the folder has no videos"
        elif is_pattern(argument) and "://" not in argument:
            found = matching_videos(argument)
            matches = found or matching_paths(argument)
            reason = "no video matches this pattern" if matches else "nothing matches this pattern"
        else:
            found, reason = [argument], ""  # reading it says what is wrong
        if not found:
            problems[argument] = reason
        videos.update(dict.fromkeys(found))
    return list(videos), problems


def describe_left_out(arguments: Iterable[str]) -> list[str]:
    """Return a note for each folder whose videos are read without the images beside them.

    Args:
        arguments: the arguments; a file stands for nothing else in its folder.
    """
    folders: dict[Path, None] = {}
    for argument in arguments:
        if is_there(argument):
            named = [argument]
        elif is_pattern(argument) and "://" not in argument:
            named = matching_paths(argument)
        else:
            continue
        for path in filter(os.path.isdir, named):
            folders.update(dict.fromkeys(Path(video).parent for video in videos_at(path)))
    notes = []
    for folder in folders:
        images, videos = images_and_videos(folder)
        if images and videos:
            notes.append(
                f"{shown_name(str(folder))}: {images} images beside its videos are left out; to "
                "read them as the frames of a video, move the videos out of the folder"
            )
    return notes


def is_there(argument: str) -> bool:
    """Return whether an argument is the name of a file or folder.

    Args:
        argument: any text; one that no file can be called, such as a long one, is no name.
    """
    try:
        return bool(argument) and Path(argument).exists()
    except (OSError, ValueError):  # a name that is too long, or holds a zero byte
        return False


def shown_name(video: str) -> str:
    """Return the path or URI of a video for output: without passwords, and as UTF-8.

    Args:
        video: the path or URI as it was given.
    """
    return os.fsencode(shown_address(video)).decode("utf-8", "replace")
