"""Read and write files of annotations; the format is recognized by suffix and content."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from exvad.data.annotations.analyses import read_analyses
from exvad.data.annotations.annotated import AnnotatedVideo, AnnotationError, Annotations
from exvad.data.annotations.class_names import composed_name
from exvad.data.annotations.coco_vid import coco_vid, read_coco_vid
from exvad.data.annotations.cvat import cvat_xml, read_cvat
from exvad.data.annotations.fiftyone import fiftyone_labels, read_fiftyone
from exvad.data.annotations.label_studio import (
    label_studio_tasks,
    labeling_interface,
    read_label_studio,
)
from exvad.data.annotations.parsing import read_json
from exvad.data.annotations.uca import read_uca
from exvad.data.atomic import write_text_atomic
from exvad.data.benchmarks import UCF_CRIME_CLASSES
from exvad.data.manifest import Manifest
from exvad.data.manifest_files import PARQUET_SUFFIXES, read_manifest

INPUT_FORMATS = ("manifest", "analyses", "label-studio", "cvat", "uca", "fiftyone", "coco-vid")
OUTPUT_FORMATS = ("manifest", "label-studio", "cvat", "fiftyone", "coco-vid")
MANIFEST_SUFFIXES = (*PARQUET_SUFFIXES, ".csv")


def read_annotations(path: Path, kind: str = "", fps: float | None = None) -> Annotations:
    """Read a file of annotations.

    Args:
        path: a file, or a folder of CVAT's XML files or of a FiftyOne data set.
        kind: one of `INPUT_FORMATS`; by default what the suffix and the content say.
        fps: the rate that frames are counted at, where the format has none.

    Raises:
        AnnotationError: the file has none of the formats, or is not what it should be.
        ManifestError: it is an invalid manifest.
    """
    kind = kind or recognize(path)
    if kind == "manifest":
        return _of_manifest(read_manifest(path))
    annotations = _composed(_read(path, kind, fps))
    if not annotations.videos:
        raise AnnotationError("; ".join((f"{path}: there are no videos", *annotations.notes)))
    for video in annotations.videos:
        if not video.name or "\0" in video.name:
            raise AnnotationError(f"{path}: {video.name!r} can't be the name of a video")
        in_frames = [(float(e.start), float(e.end), e.label) for e in video.events]
        in_seconds = [(e.start, e.end, e.label) for e in video.timed_events]
        for start, end, label in in_frames + in_seconds:
            if end <= start:
                raise AnnotationError(
                    f"{path}: {video.name}: the event {label} runs from {start:g} to {end:g}; its "
                    "end must be above its start"
                )
    return annotations


def _composed(annotations: Annotations) -> Annotations:
    """Return annotations whose classes have one form in Unicode."""
    names = {name: composed_name(name) for name in annotations.all_classes()}
    if all(name == form for name, form in names.items()):
        return annotations
    videos = tuple(
        replace(
            video,
            labels=tuple(dict.fromkeys(names[label] for label in video.labels)),
            events=tuple(replace(e, label=names[e.label]) for e in video.events),
            timed_events=tuple(replace(e, label=names[e.label]) for e in video.timed_events),
        )
        for video in annotations.videos
    )
    classes = tuple(dict.fromkeys(names[name] for name in annotations.classes))
    return replace(annotations, videos=videos, classes=classes)


def _read(path: Path, kind: str, fps: float | None) -> Annotations:
    if kind == "label-studio":
        return read_label_studio(path, fps)
    if kind == "uca":
        return read_uca(path, UCF_CRIME_CLASSES)
    readers: dict[str, Callable[[Path], Annotations]] = {
        "analyses": read_analyses,
        "cvat": read_cvat,
        "fiftyone": read_fiftyone,
        "coco-vid": read_coco_vid,
    }
    return readers[kind](path)


def recognize(path: Path) -> str:
    """Return the format of a file or folder, one of `INPUT_FORMATS`.

    Raises:
        AnnotationError: it is none of them.
    """
    suffix = path.suffix.lower()
    by_suffix = {".jsonl": "analyses", ".ndjson": "analyses", ".xml": "cvat", ".txt": "uca"}
    by_suffix |= dict.fromkeys(MANIFEST_SUFFIXES, "manifest")
    if path.is_dir():
        return "fiftyone" if (path / "labels.json").is_file() else "cvat"
    if not path.exists():
        raise AnnotationError(f"{path}: there is no such file")
    if suffix in by_suffix:
        return by_suffix[suffix]
    kind = _of_json(read_json(path)) if suffix == ".json" else None
    if kind is None:
        raise AnnotationError(
            f"{path}: this has none of the formats {', '.join(INPUT_FORMATS)}; if it has one, name "
            "it with --from"
        )
    return kind


def write_annotations(
    annotations: Annotations, path: Path, kind: str, prefix: str = ""
) -> list[Path]:
    """Write annotations for another tool, atomically.

    Args:
        annotations: the annotations.
        path: the file. CVAT takes a file per video: of several videos, it is a folder.
        kind: one of `OUTPUT_FORMATS` other than `manifest`.
        prefix: what stands before the names of the videos in tasks of Label Studio.

    Returns:
        The files.

    Raises:
        AnnotationError: the format needs a frame rate that is unknown.
        OSError: a file can't be written.
    """
    if kind == "cvat":
        return _write_cvat(annotations, path)
    contents: dict[str, Callable[[Annotations], Any]] = {
        "label-studio": partial(label_studio_tasks, prefix=prefix),
        "fiftyone": fiftyone_labels,
        "coco-vid": coco_vid,
    }
    text = json.dumps(contents[kind](annotations), ensure_ascii=False, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(path, f"{text}\n")
    if kind != "label-studio":
        return [path]
    interface = path.with_name(f"{path.stem}-interface.xml")
    write_text_atomic(interface, labeling_interface(annotations.all_classes()))
    return [path, interface]


def _write_cvat(annotations: Annotations, path: Path) -> list[Path]:
    classes = annotations.all_classes()
    names = [f"{video.stem.replace('/', '__')}.xml" for video in annotations.videos]
    single = path.suffix.lower() == ".xml"
    if single and len(names) > 1:
        raise AnnotationError(
            f"{path}: CVAT takes one XML per video, and there are {len(names)}; name a folder"
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise AnnotationError(f"two videos would be written to {twice}; rename one of them")
    files = [path if single else path / name for name in names]
    texts = [cvat_xml(video, classes) for video in annotations.videos]
    for file, text in zip(files, texts, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(file, text)
    return files


def _of_json(content: Any) -> str | None:
    if isinstance(content, dict) and {"videos", "categories"} <= set(content):
        return "coco-vid"
    if isinstance(content, dict) and isinstance(content.get("labels"), dict):
        return "fiftyone"
    first = next(iter(content.values()), None) if isinstance(content, dict) else None
    if isinstance(first, dict) and {"timestamps", "sentences"} <= set(first):
        return "uca"
    tasks = content if isinstance(content, list) else [content]
    task = tasks[0] if tasks else None
    if isinstance(task, dict) and ("data" in task or "annotator" in task or "video" in task):
        return "label-studio"
    return None


def _of_manifest(manifest: Manifest) -> Annotations:
    videos = tuple(
        AnnotatedVideo(
            video.path,
            video.labels,
            video.events,
            video.timed_events,
            fps=video.fps,
            num_frames=video.num_frames,
            split=video.split,
        )
        for video in manifest.videos
    )
    return Annotations(videos, manifest.classes, manifest.notes)
