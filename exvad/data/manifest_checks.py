"""Validate the classes and videos of a manifest; all problems are collected."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from exvad.config.suggestions import did_you_mean
from exvad.data.records import SPLITS, Video

Problem = tuple[str, str]  # location (`file:line`) and description

_MAX_FRAMES = 10**12  # 1,000 years at 30 frames/s: a longer video is a typing error
_MAX_SECONDS = 10**10


def find_problems(
    classes: Sequence[str], videos: Sequence[Video], locations: Sequence[str], manifest: str
) -> list[Problem]:
    """Return everything that is wrong with a manifest.

    Args:
        classes: class names, the normal class first.
        videos: the videos.
        locations: origin of each video, such as `file:line`.
        manifest: origin of the manifest, such as its file.

    Returns:
        One `(location, description)` per problem: first those of the manifest, then those of the
        videos in their order.
    """
    problems = [(manifest, problem) for problem in _class_problems(classes)]
    if not videos:
        problems.append((manifest, "the manifest has no videos; add one row per video"))
    first_location: dict[str, str] = {}
    for video, location in zip(videos, locations, strict=True):
        problems.extend((location, problem) for problem in _video_problems(video, classes))
        earlier = first_location.setdefault(video.video_id, location)
        if earlier != location and video.video_id:
            duplicate = (
                f"the id {video.video_id!r} is already used at {earlier}; ids must be unique: "
                "give one of the videos another id in the column video_id"
            )
            problems.append((location, duplicate))
    return problems


def unknown_label(label: str, classes: Sequence[str]) -> str:
    """Describe a label that is not a class: name the closest class and all classes."""
    closest = did_you_mean(label, classes)
    hint = f", did you mean {closest!r}?" if closest else ";"
    return f"unknown label {label!r}{hint} The classes are: {', '.join(classes)}"


def _class_problems(classes: Sequence[str]) -> Iterator[str]:
    if len(classes) < 2:
        found = f"the classes are {', '.join(classes)}"
        if not classes:
            found = "no row has the label 'normal', so which class is the normal one is not known"
        yield (
            f"{found}; name the normal class and at least one abnormal class, in CSV in a first "
            "line '# classes: Normal, Fighting, …'"
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
    yield from _text_problems(video)
    if video.split not in SPLITS:
        yield f"the split is {video.split!r}; it must be train, val or test"
    yield from _label_problems(video, classes)
    for event in video.events:
        yield from _interval_problems(f"the event {event.label}", event.start, event.end)
    for timed in video.timed_events:
        yield from _seconds_problems(f"the event {timed.label}", timed.start, timed.end)
    for label in _event_labels(video):
        if classes and label not in classes:
            yield f"an event has the {unknown_label(label, classes)}"
    for start, end in video.spans:
        yield from _interval_problems("the span", start, end)
    for name, value in (("num_frames", video.num_frames), ("snippets", video.snippets)):
        if value is not None and not 1 <= value <= _MAX_FRAMES:
            yield f"{name} is {value}; it must be at least 1, or empty if unknown"
    if video.fps is not None and not (math.isfinite(video.fps) and video.fps > 0):
        yield f"fps is {video.fps}; it must be above 0, or empty if unknown"


def _text_problems(video: Video) -> Iterator[str]:
    for name, text in (("path", video.path), ("video_id", video.video_id)):
        if not text:
            yield f"the {name} is empty"
        elif not _is_unicode(text):
            yield f"the {name} {text!r} is not valid Unicode; rename the file"


def _label_problems(video: Video, classes: Sequence[str]) -> Iterator[str]:
    if not video.labels:
        yield "there is no label; name at least one class, the normal class for a normal video"
    for label in dict.fromkeys(video.labels):
        if classes and label not in classes:
            yield unknown_label(label, classes)
        if video.labels.count(label) > 1:
            yield f"the label {label!r} is named twice; remove one"
    normal = classes[0] if classes else ""
    if normal not in video.labels:
        return
    if set(video.labels) != {normal}:
        labels = ", ".join(video.labels)
        yield f"the labels mix {normal!r} with abnormal classes ({labels}); keep one kind"
    elif video.spans or any(label in classes[1:] for label in _event_labels(video)):
        yield f"the label is {normal!r}, but an event is abnormal; correct one of them"


def _event_labels(video: Video) -> list[str]:
    return [e.label for e in video.events] + [e.label for e in video.timed_events]


def _interval_problems(name: str, start: int, end: int) -> Iterator[str]:
    interval = f"{name} runs from frame {start} to {end}"
    if start < 0 or end < 0:
        yield f"{interval}; frames are counted from 0"
    elif end <= start:
        yield f"{interval}; its end must be above its start"
    elif end > _MAX_FRAMES:
        yield f"{interval}; no video is that long"


def _seconds_problems(name: str, start: float, end: float) -> Iterator[str]:
    interval = f"{name} runs from {start:g} s to {end:g} s"
    if not (math.isfinite(start) and math.isfinite(end)) or start < 0 or end < 0:
        yield f"{interval}; seconds are counted from 0"
    elif end <= start:
        yield f"{interval}; its end must be above its start"
    elif end > _MAX_SECONDS:
        yield f"{interval}; no video is that long"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
