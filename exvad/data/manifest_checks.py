"""What can be wrong with a manifest, found all at once."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exvad.data.records import Video

SPLITS = ("train", "val", "test")
_MOST_FRAMES = 10**12  # 1,000 years at 30 frames/s: a longer video is a typing error


def find_problems(
    classes: Sequence[str], videos: Sequence[Video], places: Sequence[str], whole: str
) -> list[tuple[str, str]]:
    """Everything that is wrong with a manifest.

    Args:
        classes: class names, the normal class first.
        videos: the videos.
        places: where each video was found: `file:line` for those of a file.
        whole: where the manifest itself was found.

    Returns:
        One `(place, what)` per problem, those of the whole first, then in the order of the videos.
    """
    problems = [(whole, problem) for problem in _class_problems(classes)]
    if not videos:
        problems.append((whole, "it holds no videos; add one row per video"))
    first: dict[str, str] = {}
    for video, place in zip(videos, places, strict=True):
        found = list(_video_problems(video, classes))
        before = first.setdefault(video.video_id, place)
        if before != place and video.video_id:
            found.append(
                f"the id {video.video_id!r} was used already at {before}; ids must be unique, give "
                "one of them another in the column video_id"
            )
        problems.extend((place, problem) for problem in found)
    return problems


def _class_problems(classes: Sequence[str]) -> Iterator[str]:
    if len(classes) < 2:
        yield (
            f"the classes are {', '.join(classes) or 'not given'}; name the normal class and at "
            "least one abnormal one, in CSV by a first line '# classes: Normal, Fighting, …'"
        )
    for name in classes:
        if not name or name != name.strip() or any(mark in name for mark in ",;\r\n"):
            yield (
                f"the class name {name!r} is empty, or has a comma, a semicolon, a line break or "
                "blanks around it; rename it"
            )
        elif not _is_unicode(name):
            yield f"the class name {name!r} is not valid Unicode; rename it"
    for name in sorted({name for name in classes if list(classes).count(name) > 1}):
        yield f"the class {name!r} is named twice; remove one"


def _video_problems(video: Video, classes: Sequence[str]) -> Iterator[str]:
    yield from _name_problems(video)
    if video.split not in SPLITS:
        yield f"the split is {video.split!r}; it must be train, val or test"
    yield from _label_problems(video, classes)
    for event in video.events:
        yield from _stretch_problems(f"the event {event.label}", event.start, event.end)
        if event.label not in classes:
            yield f"an event has the {unknown(event.label, classes)}"
    for start, end in video.spans:
        yield from _stretch_problems("the span", start, end)
    for name, number in (("num_frames", video.num_frames), ("snippets", video.snippets)):
        if number is not None and not 1 <= number <= _MOST_FRAMES:
            yield f"{name} is {number}; it must be at least 1, or left empty where unknown"
    if video.fps is not None and not (math.isfinite(video.fps) and video.fps > 0):
        yield f"fps is {video.fps}; it must be above 0, or left empty where unknown"


def _name_problems(video: Video) -> Iterator[str]:
    for name, text in (("path", video.path), ("video_id", video.video_id)):
        if not text:
            yield f"the {name} is empty"
        elif not _is_unicode(text):
            yield f"the {name} {text!r} is not valid Unicode; rename the file"


def _label_problems(video: Video, classes: Sequence[str]) -> Iterator[str]:
    if not video.labels:
        yield "there is no label; name at least one class, the normal one for a normal video"
    for label in dict.fromkeys(video.labels):
        if label not in classes:
            yield unknown(label, classes)
        if video.labels.count(label) > 1:
            yield f"the label {label!r} is named twice; remove one"
    normal = classes[0] if classes else ""
    if normal not in video.labels:
        return
    if set(video.labels) != {normal}:
        yield f"{normal!r} stands beside abnormal labels ({', '.join(video.labels)}); keep one kind"
    elif video.spans or any(event.label in classes[1:] for event in video.events):
        yield f"the label is {normal!r}, but an event is abnormal; correct one of them"


def _stretch_problems(what: str, start: int, end: int) -> Iterator[str]:
    stretch = f"{what} runs from frame {start} to {end}"
    if start < 0 or end < 0:
        yield f"{stretch}; frames are counted from 0"
    elif end <= start:
        yield f"{stretch}; its end must be above its start"
    elif end > _MOST_FRAMES:
        yield f"{stretch}; no video is that long"


def unknown(label: str, classes: Sequence[str]) -> str:
    """What to say of a label that is no class: the closest class, and all there are."""
    by_fold = {name.casefold(): name for name in classes}
    close = difflib.get_close_matches(label.casefold(), list(by_fold), n=1)
    hint = f", did you mean {by_fold[close[0]]!r}?" if close else ";"
    return f"unknown label {label!r}{hint} The classes are: {', '.join(classes)}"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
