"""FiftyOne: the `labels.json` of a `FiftyOneTemporalDetectionDataset`.

`support` is first and last frame, counted from 1. Videos are named by their path in the data set's
`data/` without the suffix.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
)
from exvad.data.records import Event, TimedEvent


def read_fiftyone(path: Path) -> Annotations:
    """Read `labels.json`, or the folder of the data set that has it.

    Raises:
        AnnotationError: it is not the labels of temporal detections.
    """
    file = path / "labels.json" if path.is_dir() else path
    content = as_dict(read_json(file), str(file))
    names = [
        as_text(n, f"{file}: classes") for n in as_list(content.get("classes") or [], str(file))
    ]
    videos = []
    for name, value in as_dict(content.get("labels"), f"{file}: labels").items():
        where = f"{file}: {name}"
        events: list[Event] = []
        timed: list[tuple[TimedEvent, float | None]] = []
        for item in as_list(value if value is not None else [], where):
            detection = as_dict(item, where)
            label = _label(detection.get("label"), names, where)
            score = detection.get("confidence")
            interval = as_list(detection.get("timestamps", detection.get("support")), where)
            if len(interval) != 2:
                raise AnnotationError(f"{where}: {interval} is not [start, end]")
            if "timestamps" in detection:
                start, end = (as_number(time, where) for time in interval)
                known = None if score is None else as_number(score, where)
                timed.append((TimedEvent(start, end, label), known))
            else:
                first, last = (as_frame(frame, where) for frame in interval)
                events.append(Event(max(0, first - 1), last, label))
        timed_events = tuple(event for event, _ in timed)
        scores = known_scores([score for _, score in timed])
        videos.append(AnnotatedVideo(name, (), tuple(events), timed_events, scores))
    return Annotations(tuple(videos), tuple(names))


def fiftyone_labels(annotations: Annotations) -> dict[str, Any]:
    """Return the content of `labels.json`.

    Events are frames where the rate is known or they are frames already, else seconds, which
    FiftyOne converts when it imports the videos. Sentences are detections with the label
    `sentence` and their text as an attribute.
    """
    labels: dict[str, list[dict[str, Any]]] = {}
    for video in annotations.videos:
        detections = []
        if video.fps is None and video.timed_events:
            detections += [_timestamps(event, score) for event, score in _timed(video)]
            detections += [_support(event, None) for event in video.events]
        else:
            detections += [_support(event, score) for event, score in video.in_frames()]
        detections += [
            {
                "label": "sentence",
                "timestamps": [sentence.start, sentence.end],
                "attributes": {"text": sentence.text},
            }
            for sentence in video.sentences
        ]
        labels[video.stem] = detections
    return {"classes": list(annotations.all_classes()), "labels": labels}


def _label(value: Any, names: list[str], where: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < len(names):
            raise AnnotationError(f"{where}: the label {value} is no index of the classes")
        return names[value]
    return as_text(value, where)


def _timed(video: AnnotatedVideo) -> list[tuple[TimedEvent, float | None]]:
    scores = video.scores or (None,) * len(video.timed_events)
    return list(zip(video.timed_events, scores, strict=True))


def _timestamps(event: TimedEvent, score: float | None) -> dict[str, Any]:
    return _scored({"label": event.label, "timestamps": [event.start, event.end]}, score)


def _support(event: Event, score: float | None) -> dict[str, Any]:
    return _scored({"label": event.label, "support": [event.start + 1, event.end]}, score)


def _scored(detection: dict[str, Any], score: float | None) -> dict[str, Any]:
    return detection if score is None else {**detection, "confidence": score}
