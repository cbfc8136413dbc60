"""CVAT: the XML of tasks, jobs and projects of videos ("for video 1.1" and "for images 1.1").

The frames are those of the file, counted from 0. An event is a track, or a run of frames with the
same tag or with boxes of the same label. CVAT's XML has no frame rate.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from exvad.data.annotations.annotated import AnnotatedVideo, AnnotationError, Annotations
from exvad.data.annotations.parsing import read_text, video_name
from exvad.data.records import Event

_FRAME_NAME = re.compile(r"(?:.*/)?frame_\d+(?:\.\w+)?", re.IGNORECASE)
_MAX_TAGS = 5_000_000  # two days at 30 frames per second
_SHAPES = ("box", "polygon", "polyline", "points", "cuboid", "ellipse", "mask", "skeleton")


def read_cvat(path: Path) -> Annotations:
    """Read an export of CVAT.

    Args:
        path: an XML file, or a folder of them (one per task).

    Raises:
        AnnotationError: it is no export of videos.
    """
    files = sorted(path.glob("**/*.xml")) if path.is_dir() else [path]
    if not files:
        raise AnnotationError(f"{path}: the folder has no .xml files; unpack CVAT's zip files")
    videos: list[AnnotatedVideo] = []
    places: dict[str, int] = {}  # of the videos of jobs
    classes: dict[str, None] = {}
    notes: list[str] = []
    for file in files:
        root = _parse(file)
        meta = root.find("meta")
        names = [_text(label, "name") for label in root.iterfind("meta/*/labels/label")]
        classes |= dict.fromkeys(name for name in names if name)
        is_job = root.find("meta/job") is not None
        tasks = list(_tasks(meta, file, notes))
        _check_task_ids(root, [task_id for task_id, *_ in tasks], file)
        for task in tasks:
            video = _read_task(root, task, file)
            if is_job and video.name in places:
                notes.append(f"{file}: is another job of {video.name}; their events are joined")
                videos[places[video.name]] = _join_jobs(videos[places[video.name]], video)
                continue
            if is_job:
                places[video.name] = len(videos)
            videos.append(video)
    declared = sorted(classes, key=lambda name: name.casefold() != "normal")
    return Annotations(tuple(videos), tuple(declared), tuple(notes))


def cvat_xml(video: AnnotatedVideo, classes: tuple[str, ...]) -> str:
    """Return the XML of one video ("for images 1.1"), to upload into a task of that video.

    Every frame of an event up to the end of the video has a tag with its class; `group_id` numbers
    the events.

    Args:
        video: the video.
        classes: all classes; the task in CVAT needs labels of these names.

    Raises:
        AnnotationError: an event is in seconds and the frame rate is unknown, or the events are
            longer than any video of a task.
    """
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    for name, value in (("name", video.name), ("size", video.num_frames), ("mode", "annotation")):
        if value is not None:
            ElementTree.SubElement(task, name).text = str(value)
    labels = ElementTree.SubElement(task, "labels")
    for name in classes:
        label = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(label, "name").text = name
        ElementTree.SubElement(label, "type").text = "tag"
        ElementTree.SubElement(label, "attributes")
    ElementTree.SubElement(task, "source").text = video.name
    tags: dict[int, list[tuple[str, int]]] = defaultdict(list)
    events = [event for event, _ in video.in_frames()]
    ends = [min(event.end, video.num_frames or event.end) for event in events]
    count = sum(max(0, end - event.start) for event, end in zip(events, ends, strict=True))
    if count > _MAX_TAGS:
        raise AnnotationError(
            f"{video.name}: its events have {count} frames, and CVAT takes a tag for each; more "
            f"than {_MAX_TAGS} are not written: are the times right?"
        )
    for number, (event, end) in enumerate(zip(events, ends, strict=True), 1):
        for frame in range(event.start, end):
            tags[frame].append((event.label, number))
    for frame in sorted(tags):
        image = ElementTree.SubElement(
            root, "image", {"id": str(frame), "name": f"frame_{frame:06d}"}
        )
        for name, number in tags[frame]:
            attributes = {"label": name, "source": "manual", "group_id": str(number)}
            ElementTree.SubElement(image, "tag", attributes)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def _parse(path: Path) -> ElementTree.Element:
    text = read_text(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise AnnotationError(f"{path}: XML with a document type is not read; CVAT writes none")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise AnnotationError(f"{path}: this is not XML ({error})") from None
    if root.tag != "annotations":
        raise AnnotationError(
            f"{path}: the XML begins with <{root.tag}>, not <annotations>; export the task from "
            "CVAT as 'CVAT for video 1.1' or 'CVAT for images 1.1'"
        )
    return root


def _tasks(
    meta: ElementTree.Element | None, file: Path, notes: list[str]
) -> Iterator[tuple[str | None, str, int, int | None]]:
    """Yield id (None for the only one), video, step and number of frames of each task."""
    several = [] if meta is None else meta.findall("project/tasks/task")
    single = [] if meta is None else [*meta.findall("task"), *meta.findall("job")]
    if not several and not single:
        notes.append(f"{file}: there is no task in <meta>; the video is named after the file")
        yield None, file.stem, 1, None
    for task in several or single[:1]:
        source = _text(task, "source") or _text(task, "name")
        if not _text(task, "source"):
            notes.append(f"{file}: the task has no <source>; the video is named {source!r}")
        step = re.search(r"step=(\d+)", _text(task, "frame_filter"))
        first = _integer(task, "start_frame") or 0
        name = video_name(source or file.stem)
        # The frames of a job are some of the video's.
        is_whole = first == 0 and not step and task.tag == "task"
        known = _integer(task, "size") if is_whole else None
        yield (_text(task, "id") if len(several) > 1 else None), name, _step(step), known


def _check_task_ids(root: ElementTree.Element, task_ids: list[str | None], file: Path) -> None:
    """Refuse marks that belong to none of the tasks of a project.

    Raises:
        AnnotationError: a track or an image does not say to which task it belongs, or to another.
    """
    if None in task_ids:  # one task, which all of them belong to
        return
    for element in root:
        task_id = element.get("task_id")
        if element.tag not in ("track", "image") or task_id in task_ids:
            continue
        if element.tag == "image" and not len(element):
            continue
        what = f"a <{element.tag}> (id {element.get('id', '?')})"
        what += f" of {element.get('label')!r}" if element.get("label") else ""
        task = f"of task {task_id}, which <meta> does not list" if task_id else "without a task_id"
        raise AnnotationError(
            f"{file}: {what} is {task}, so its video is not known; export the tasks one by one, "
            "and convert the folder of their files"
        )


def _step(match: re.Match[str] | None) -> int:
    return max(1, int(match[1])) if match else 1


def _read_task(
    root: ElementTree.Element, task: tuple[str | None, str, int, int | None], file: Path
) -> AnnotatedVideo:
    task_id, name, step, size = task
    events: list[Event] = []
    for track in root.iterfind("track"):
        if task_id is None or track.get("task_id") == task_id:
            events += _track_events(track, step, file)
    frames: dict[tuple[str, str], set[int]] = defaultdict(set)
    for image in root.iterfind("image"):
        if task_id is not None and image.get("task_id") != task_id:
            continue
        if not _FRAME_NAME.fullmatch(image.get("name", "")):
            raise AnnotationError(
                f"{file}: the image {image.get('name')!r} is no frame of a video (frame_000000); "
                "exvad reads tasks of videos"
            )
        for mark in image:
            if mark.tag == "tag" or mark.tag in _SHAPES:
                group = mark.get("group_id", "0")
                frames[_attribute(mark, "label", file), group].add(_frame(image, "id", file))
    for (label, _), numbers in frames.items():
        events += [Event(start, end, label) for start, end in _runs(sorted(numbers), step)]
    events.sort(key=lambda event: (event.start, event.end, event.label))
    return AnnotatedVideo(name, events=tuple(events), num_frames=size)


def _join_jobs(first: AnnotatedVideo, second: AnnotatedVideo) -> AnnotatedVideo:
    """Return the video of two jobs; an event that goes on in the next job is one event."""
    waiting = list(first.events)
    joined: list[Event] = []
    for event in second.events:
        goes_on = [
            other
            for other in waiting
            if other.label == event.label and other.start <= event.end and event.start <= other.end
        ]
        for other in goes_on[:1]:
            waiting.remove(other)
            event = Event(min(event.start, other.start), max(event.end, other.end), event.label)
        joined.append(event)
    events = sorted(waiting + joined, key=lambda event: (event.start, event.end, event.label))
    return replace(first, events=tuple(events))


def _track_events(track: ElementTree.Element, step: int, file: Path) -> Iterator[Event]:
    """Yield the visible parts of a track, each up to a shape that is outside or the last shape."""
    label = _attribute(track, "label", file)
    shapes = [shape for shape in track if shape.tag in _SHAPES]
    ordered = sorted((_frame(s, "frame", file), s.get("outside") == "1") for s in shapes)
    start: int | None = None
    for frame, outside in ordered:
        if outside and start is not None:
            if frame > start:
                yield Event(start, frame, label)
            start = None
        elif not outside and start is None:
            start = frame
    if start is not None:
        yield Event(start, ordered[-1][0] + step, label)


def _runs(frames: list[int], step: int) -> Iterator[tuple[int, int]]:
    start = previous = frames[0]
    for frame in frames[1:]:
        if frame > previous + step:
            yield start, previous + step
            start = frame
        previous = frame
    yield start, previous + step


def _attribute(element: ElementTree.Element, name: str, file: Path) -> str:
    value = element.get(name, "").strip()
    if not value:
        raise AnnotationError(f"{file}: a <{element.tag}> has no {name}; export the task again")
    return value


def _frame(element: ElementTree.Element, name: str, file: Path) -> int:
    value = _attribute(element, name, file)
    if not re.fullmatch(r"\d{1,12}", value, re.ASCII):
        raise AnnotationError(f"{file}: {name}={value!r} of a <{element.tag}> is no frame number")
    return int(value)


def _integer(element: ElementTree.Element, name: str) -> int | None:
    text = _text(element, name)
    return int(text) if re.fullmatch(r"\d{1,12}", text, re.ASCII) else None


def _text(element: ElementTree.Element, name: str) -> str:
    return (element.findtext(name) or "").strip()
