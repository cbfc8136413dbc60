"""JSON in the manner of COCO-VID: videos, categories, and an annotation per event.

COCO-VID annotates boxes in images. An event has no box, so an annotation gives its frames and
seconds, and its image is the first frame of the event. pycocotools loads the file.
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
    as_id,
    as_list,
    as_number,
    as_text,
    read_json,
)
from exvad.data.records import Event, TimedEvent


def read_coco_vid(path: Path) -> Annotations:
    """Read a file that `coco_vid` describes.

    Raises:
        AnnotationError: it is not such a file, such as one of COCO-VID with boxes only.
    """
    content = as_dict(read_json(path), str(path))
    categories: dict[int | str, str] = {}
    for item in as_list(content.get("categories"), f"{path}: categories"):
        category = as_dict(item, f"{path}: categories")
        number = as_id(category.get("id"), f"{path}: categories")
        categories[number] = as_text(category.get("name"), f"{path}: categories")
    found: dict[int | str, list[dict[str, Any]]] = {}
    for item in as_list(content.get("annotations"), f"{path}: annotations"):
        annotation = as_dict(item, f"{path}: annotations")
        video_id = as_id(annotation.get("video_id"), f"{path}: annotations")
        found.setdefault(video_id, []).append(annotation)
    videos = []
    for item in as_list(content.get("videos"), f"{path}: videos"):
        video = as_dict(item, f"{path}: videos")
        name = as_text(video.get("name"), f"{path}: videos")
        number = as_id(video.get("id"), f"{path}: videos")
        videos.append(_read_video(video, found.pop(number, []), categories, path, name))
    if found:
        raise AnnotationError(f"{path}: annotations name videos that are not listed: {list(found)}")
    return Annotations(tuple(videos), tuple(categories.values()))


def coco_vid(annotations: Annotations) -> dict[str, Any]:
    """Return the content of the file.

    `videos` have `id`, `name`, `fps`, `length` (frames) and `labels` where known; `annotations`
    have `video_id`, `category_id`, `image_id`, `instance_id`, `segment` (seconds) or `start_frame`
    and `end_frame` (exclusive) or all of them, and `score`; `captions` are sentences.
    """
    classes = annotations.all_classes()
    category_ids = {name: number for number, name in enumerate(classes, 1)}
    videos: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    captions: list[dict[str, Any]] = []
    for video_id, video in enumerate(annotations.videos, 1):
        known = {"fps": video.fps, "length": video.num_frames, "labels": list(video.labels)}
        record: dict[str, Any] = {"id": video_id, "name": video.name}
        videos.append(record | {key: value for key, value in known.items() if value})
        for label, place, score in _places(video):
            number = len(events) + 1
            frame = place.get("start_frame", 0)
            images.append(
                {
                    "id": number,
                    "video_id": video_id,
                    "frame_id": frame,
                    "file_name": f"{video.stem}/{frame:06d}.jpg",
                }
            )
            event = {"id": number, "video_id": video_id, "image_id": number, "instance_id": number}
            event |= {"category_id": category_ids[label], **place}
            events.append(event if score is None else {**event, "score": score})
        captions += [
            {"video_id": video_id, "segment": [s.start, s.end], "caption": s.text}
            for s in video.sentences
        ]
    return {
        "info": {"description": "events of exvad, in the manner of COCO-VID"},
        "categories": [{"id": number, "name": name} for name, number in category_ids.items()],
        "videos": videos,
        "images": images,
        "annotations": events,
        **({"captions": captions} if captions else {}),
    }


def _places(video: AnnotatedVideo) -> list[tuple[str, dict[str, Any], float | None]]:
    """Return label, place and score of each event, in every unit that is known."""
    if video.fps is None:
        scores = video.scores or (None,) * len(video.timed_events)
        in_frames = [(e.label, _frames(e), None) for e in video.events]
        pairs = zip(video.timed_events, scores, strict=True)
        return [*in_frames, *((e.label, {"segment": [e.start, e.end]}, s) for e, s in pairs)]
    both = zip(video.in_frames(), video.in_seconds(), strict=True)
    return [
        (event.label, {**_frames(event), "segment": [timed.start, timed.end]}, score)
        for (event, score), (timed, _) in both
    ]


def _frames(event: Event) -> dict[str, int]:
    return {"start_frame": event.start, "end_frame": event.end}


def _read_video(
    video: dict[str, Any],
    annotations: list[dict[str, Any]],
    categories: dict[int | str, str],
    path: Path,
    name: str,
) -> AnnotatedVideo:
    where = f"{path}: {name}"
    events: list[Event] = []
    timed: list[TimedEvent] = []
    scores: list[float | None] = []
    for annotation in annotations:
        label = categories.get(as_id(annotation.get("category_id"), where))
        if label is None:
            raise AnnotationError(f"{where}: an annotation has no category of the list")
        score = annotation.get("score")
        if score is None and "start_frame" in annotation:
            frames = [annotation.get("start_frame"), annotation.get("end_frame")]
            start, end = (as_frame(frame, where) for frame in frames)
            events.append(Event(start, end, label))
        elif "segment" in annotation:
            times = [as_number(time, where) for time in as_list(annotation["segment"], where)]
            if len(times) != 2:
                raise AnnotationError(f"{where}: a segment must be [start, end] in seconds")
            timed.append(TimedEvent(times[0], times[1], label))
            scores.append(None if score is None else as_number(score, where))
        else:
            raise AnnotationError(
                f"{where}: an annotation has neither segment nor start_frame; boxes of COCO-VID "
                "do not say when an event begins and ends"
            )
    labels = [as_text(label, where) for label in as_list(video.get("labels") or [], where)]
    fps, length = video.get("fps"), video.get("length")
    return AnnotatedVideo(
        name,
        tuple(labels),
        tuple(events),
        tuple(timed),
        known_scores(scores),
        fps=None if fps is None else as_number(fps, where) or None,
        num_frames=None if length is None else as_frame(length, where) or None,
    )
