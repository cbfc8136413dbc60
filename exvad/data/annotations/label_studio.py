"""Label Studio: exports of video projects (JSON, JSON-MIN), and tasks to import.

Label Studio counts frames from 1, ends included, at the `frameRate` of the project's `<Video>` tag,
whatever the rate of the file. An export doesn't have that rate, unless the tasks' data has it as
`fps` (`frameRate="$fps"`) or a tracked box has the number of frames and the duration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

from exvad.data.annotations.annotated import (
    AnnotatedVideo,
    AnnotationError,
    Annotations,
    known_scores,
)
from exvad.data.annotations.parsing import (
    as_dict,
    as_frame,
    as_list,
    as_number,
    as_text,
    read_json,
    video_name,
)
from exvad.data.records import Event, TimedEvent

EVENTS, VIDEO, LABEL = "events", "video", "label"  # names of the tags in the labeling interface
_RATE_KEYS = ("fps", "frameRate", "frame_rate")
_VIDEO_KEYS = (VIDEO, "video_url", "url", "file", "path")

_Marked = tuple[float, float, str, float | None]  # seconds, label and score of an event


def read_label_studio(path: Path, fps: float | None = None) -> Annotations:
    """Read an export of a video project.

    Read are regions of a timeline (`TimelineLabels`), tracked boxes (`VideoRectangle`), regions in
    seconds (`Labels`) and `Choices` about the whole video.

    Args:
        path: the JSON file.
        fps: the `frameRate` of the project's `<Video>` tag, where the export doesn't have it.

    Raises:
        AnnotationError: it is no export of videos, or frames are counted at an unknown rate.
    """
    content = read_json(path)
    tasks = content if isinstance(content, list) else [content]
    videos: list[AnnotatedVideo] = []
    notes: list[str] = []
    unread: Counter[str] = Counter()
    minimal: set[str] = set()
    for number, item in enumerate(tasks, 1):
        where = f"{path}: task {number}"
        task = as_dict(item, where)
        data = as_dict(task.get("data", task), where)
        name = video_name(_video_reference(data, where))
        if "data" not in task and "id" in task:
            # JSON-MIN repeats the task for every annotation of it.
            if str(task["id"]) in minimal:
                notes.append(f"{where}: {name} is annotated again; the first annotation is read")
                continue
            minimal.add(str(task["id"]))
        results = _results(task, f"{where} ({name})", notes)
        if results is None:
            notes.append(f"{where}: {name} is not annotated yet and is left out")
            continue
        rate = next(filter(None, (_read_rate(data.get(key)) for key in _RATE_KEYS)), None)
        counted_at = rate or fps or _rate_of_tracks(results)
        labels, events = _read_results(results, counted_at, f"{where} ({name})", unread)
        predicted = _is_predicted(task)
        videos.append(replace(_annotated(name, labels, events, rate), predicted=predicted))
    notes += [f"{count} results of type {kind!r} mark no event" for kind, count in unread.items()]
    return Annotations(tuple(videos), (), tuple(notes))


def label_studio_tasks(annotations: Annotations, prefix: str = "") -> list[dict[str, Any]]:
    """Return tasks to import into Label Studio.

    Events that people marked become annotations. Those that exvad found become predictions, which
    people correct.

    Args:
        annotations: the annotations.
        prefix: what stands before the names of the videos so that Label Studio finds them, such as
            `/data/local-files/?d=` or a URL.

    Raises:
        AnnotationError: the frame rate of a video with events is unknown.
    """
    return [_task(video, prefix) for video in annotations.videos]


def labeling_interface(classes: Sequence[str]) -> str:
    """Return the labeling interface (XML) of a project that the tasks can be imported into."""
    choices = "".join(f'\n    <Choice value="{_attribute(name)}"/>' for name in classes)
    labels = choices.replace("<Choice ", "<Label ")
    return (
        f'<View>\n  <Video name="{VIDEO}" value="$video" frameRate="$fps"/>'
        f'\n  <TimelineLabels name="{EVENTS}" toName="{VIDEO}">{labels}\n  </TimelineLabels>'
        f'\n  <Choices name="{LABEL}" toName="{VIDEO}" choice="multiple">{choices}\n  </Choices>'
        "\n</View>\n"
    )


def _video_reference(data: dict[str, Any], where: str) -> str:
    for key in _VIDEO_KEYS:
        if isinstance(data.get(key), str) and data[key].strip():
            return str(data[key])
    raise AnnotationError(
        f"{where}: there is no video among {', '.join(data) or 'its data'}; exvad reads exports of "
        f"projects whose tasks have it as {', '.join(_VIDEO_KEYS)}"
    )


def _results(task: dict[str, Any], where: str, notes: list[str]) -> list[dict[str, Any]] | None:
    """Return the results of a task; None if nobody and no model has annotated it."""
    if "data" not in task:
        return _minimal_results(task)
    annotations = [as_dict(item, where) for item in as_list(_annotations(task), where)]
    finished = [item for item in annotations if not item.get("was_cancelled")]
    if not finished:
        finished = [as_dict(p, where) for p in as_list(task.get("predictions") or [], where)]
    if not finished:
        return None
    chosen = next((item for item in finished if item.get("ground_truth")), finished[0])
    if len(finished) > 1:
        kind = "ground truth" if chosen.get("ground_truth") else "first one"
        notes.append(f"{where} has {len(finished)} annotations; the {kind} is read")
    return [as_dict(r, where) for r in as_list(chosen.get("result") or [], where)]


def _annotations(task: dict[str, Any]) -> Any:
    """Return what people annotated; Label Studio below 1.0 calls it completions."""
    return task.get("annotations") or task.get("completions") or []


def _is_predicted(task: dict[str, Any]) -> bool:
    finished = [item for item in _annotations(task) if not item.get("was_cancelled")]
    return "data" in task and not finished


def _minimal_results(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the regions of a task in JSON-MIN, which has them under the names of their tags."""
    results: list[dict[str, Any]] = []
    for name, value in task.items():
        if isinstance(value, dict) and "choices" in value:
            results.append({"type": "choices", "value": value})
        elif isinstance(value, str) and name in (LABEL, "choice"):
            results.append({"type": "choices", "value": {"choices": [value]}})
        for region in value if isinstance(value, list) else []:
            if isinstance(region, dict):
                kinds = {"ranges": "timelinelabels", "sequence": "videorectangle"}
                kind = next((kinds[key] for key in kinds if key in region), "labels")
                results.append({"type": kind, "value": region})
    return results


def _read_results(
    results: Sequence[dict[str, Any]], counted_at: float | None, where: str, unread: Counter[str]
) -> tuple[tuple[str, ...], list[_Marked]]:
    labels: list[str] = []
    events: list[_Marked] = []
    has_choices = any(result.get("type") == "choices" for result in results)
    for result in results:
        kind, value = str(result.get("type")), as_dict(result.get("value", {}), where)
        score = result.get("score")
        score = None if score is None else min(1.0, as_number(score, f"{where}: score"))
        if kind == "choices":
            labels += [as_text(choice, where) for choice in as_list(value.get("choices"), where)]
        elif kind == "videorectangle" and has_choices and not value.get("labels"):
            unread[kind] += 1  # a box that shows where in a video that has its classes
        elif kind in ("timelinelabels", "videorectangle"):
            _check_has_label(
                result, value, "timelinelabels" if "ranges" in value else "labels", where
            )
            read = _timeline if kind == "timelinelabels" else _track
            for first, last, label in read(value, where):
                if counted_at is None:
                    raise AnnotationError(
                        f"{where}: frames {first} to {last} are counted at the frameRate of the "
                        "project's <Video> tag, which the export doesn't have: give it with --fps "
                        "(Label Studio takes 24 where the tag names none)"
                    )
                events.append(((first - 1) / counted_at, last / counted_at, label, score))
        elif kind == "labels" and "start" in value:
            _check_has_label(result, value, "labels", where)
            start, end = as_number(value["start"], where), as_number(value.get("end"), where)
            names = as_list(value["labels"], where)
            events += [(start, end, as_text(name, where), score) for name in names]
        else:
            unread[kind] += 1
    return tuple(dict.fromkeys(labels)), events


def _check_has_label(result: dict[str, Any], value: dict[str, Any], key: str, where: str) -> None:
    """Refuse a region without a class: somebody marked it, so its video is not a normal one.

    Raises:
        AnnotationError: it has none; the message names it and its times.
    """
    if value.get(key):
        return
    region = result.get("id") or value.get("id")
    ranges = value.get("ranges")
    times = ranges[0] if isinstance(ranges, list) and ranges else value
    times = times if isinstance(times, dict) else {}
    what = "frames" if "ranges" in value else "seconds"
    is_placed = "start" in times and "end" in times
    place = f" ({what} {times['start']} to {times['end']})" if is_placed else ""
    raise AnnotationError(
        f"{where}: the region{f' {region}' if region else ''}{place} has no label: give it one in "
        "Label Studio, or delete it, and export again"
    )


def _timeline(value: dict[str, Any], where: str) -> Iterator[tuple[int, int, str]]:
    """Yield first frame, last frame and label of a region of a timeline, counted from 1."""
    for item in as_list(value.get("ranges"), where):
        frames = as_dict(item, where)
        first, last = as_frame(frames.get("start"), where), as_frame(frames.get("end"), where)
        if last < first:
            raise AnnotationError(f"{where}: a region runs from frame {first} back to {last}")
        for label in as_list(value.get("timelinelabels"), where):
            # Frame 0 occurs in predictions of models, which count from 0.
            yield max(1, first), max(1, last), as_text(label, where)


def _track(value: dict[str, Any], where: str) -> Iterator[tuple[int, int, str]]:
    """Yield first frame, last frame and label of each visible part of a tracked box."""
    shapes = [as_dict(shape, where) for shape in as_list(value.get("sequence"), where)]
    frames = [as_frame(shape.get("frame"), where) for shape in shapes]
    count = value.get("framesCount")
    end = as_frame(count, where) if count is not None else max(frames, default=1)
    ordered = sorted(zip(frames, (bool(s.get("enabled", True)) for s in shapes), strict=True))
    first: int | None = None
    parts: list[tuple[int, int]] = []
    for frame, enabled in ordered:
        first = frame if first is None else first
        if not enabled:
            parts.append((first, frame))
            first = None
    if first is not None:
        parts.append((first, max(first, end)))
    for label in as_list(value.get("labels") or [], where):
        for start, last in parts:
            yield max(1, start), max(1, last), as_text(label, where)


def _rate_of_tracks(results: Sequence[dict[str, Any]]) -> float | None:
    for result in results:
        value = result.get("value")
        if isinstance(value, dict) and _is_rate(value.get("framesCount")):
            duration = value.get("duration")
            if _is_rate(duration):
                return float(value["framesCount"]) / float(duration)
    return None


def _read_rate(value: Any) -> float | None:
    """Return the rate of a task's data, which is a text where tasks were imported from CSV."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return float(value) if _is_rate(value) else None


def _is_rate(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9


def _annotated(
    name: str, labels: tuple[str, ...], marked: Sequence[_Marked], fps: float | None
) -> AnnotatedVideo:
    scores = [score for *_, score in marked]
    if fps is not None and set(scores) <= {None}:
        # The frames are those of the file, so they stay exact.
        events = tuple(Event(round(s * fps), round(e * fps), label) for s, e, label, _ in marked)
        return AnnotatedVideo(name, labels, events, fps=fps)
    timed = tuple(TimedEvent(start, end, label) for start, end, label, _ in marked)
    return AnnotatedVideo(name, labels, (), timed, known_scores(scores), fps=fps)


def _task(video: AnnotatedVideo, prefix: str) -> dict[str, Any]:
    results: list[dict[str, Any]] = []
    events = video.in_frames()
    if events:
        video.rate()  # the player counts frames at the rate that the task gives it
    for number, (event, score) in enumerate(events, 1):
        value = {
            "ranges": [{"start": event.start + 1, "end": event.end}],
            "timelinelabels": [event.label],
        }
        result = {"id": f"event{number}", "type": "timelinelabels", "value": value}
        result |= {"from_name": EVENTS, "to_name": VIDEO}
        results.append(result if score is None else {**result, "score": score})
    if video.labels:
        results.append(
            {
                "id": "label",
                "type": "choices",
                "value": {"choices": list(video.labels)},
                "from_name": LABEL,
                "to_name": VIDEO,
            }
        )
    data: dict[str, Any] = {"video": prefix + video.name}
    data |= {"fps": video.fps} if video.fps else {}
    if video.predicted:
        best = max((score for score in video.scores if score is not None), default=0.0)
        answer = {"model_version": "exvad", "score": best, "result": results}
        return {"data": data, "predictions": [answer]}
    return {"data": data, "annotations": [{"result": results}]}


def _attribute(text: str) -> str:
    for mark, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(mark, entity)
    return text
