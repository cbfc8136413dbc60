"""Convert a file of annotations into that of another tool or into a manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from exvad.data.annotations.annotated import AnnotatedVideo, AnnotationError, Annotations
from exvad.data.annotations.class_names import composed_name, folded_name
from exvad.data.annotations.clock import beyond_the_end
from exvad.data.annotations.formats import (
    MANIFEST_SUFFIXES,
    OUTPUT_FORMATS,
    read_annotations,
    recognize,
    write_annotations,
)
from exvad.data.folders import video_files
from exvad.data.manifest import Manifest
from exvad.data.manifest_files import write_manifest
from exvad.data.records import Split
from exvad.data.storage.frame_folders import is_frame_folder
from exvad.data.storage.writable import check_new_file, check_new_folder

VideoLength = Callable[[Path], tuple[int, float]]
"""From the path of a video to its number of frames and its frame rate."""


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Args:
        files: the files that were written.
        kinds: the formats, from and to.
        videos: number of videos.
        events: number of their events.
        notes: what was settled or left out, one sentence each.
    """

    files: list[Path]
    kinds: tuple[str, str]
    videos: int
    events: int
    notes: list[str]


def convert_annotations(
    source: Path,
    target: Path,
    kinds: tuple[str, str] = ("", ""),
    *,
    videos: Path | None = None,
    measure: VideoLength | None = None,
    fps: float | None = None,
    split: Split = "test",
    normal: str = "Normal",
    prefix: str = "",
    classes: Sequence[str] = (),
) -> Conversion:
    """Convert annotations.

    Args:
        source: the file, or the folder of CVAT's or FiftyOne's files.
        target: the file, or the folder for CVAT.
        kinds: the formats, from and to; an empty one is recognized.
        videos: folder of the videos, which have their lengths and rates. Without it, a manifest's
            own paths are used.
        measure: gives the length and rate of a video; None to use only what the files say.
        fps: the rate that frames are counted at, where the source has none.
        split: split of the videos in a manifest, where the source has none.
        normal: name of the normal class, for a source that declares no classes.
        prefix: what stands before the names of the videos in tasks of Label Studio.
        classes: further classes of a manifest, such as those that no video of the source shows.

    Raises:
        AnnotationError: the source can't be read, or the target needs what is not known.
        ManifestError: the source or target is an invalid manifest.
        OSError: the target can't be written.
    """
    if fps is not None and not 0 < fps < 1e6:
        raise AnnotationError(f"the rate is {fps:g} frames per second; it must be above 0")
    to = kinds[1] or _target_format(target)
    _check_target(target, to)
    kind = kinds[0] or recognize(source)
    read = read_annotations(source, kind, fps)
    if (kind, to) == ("label-studio", "manifest"):
        read = _without_predictions(read, source)
    paths = _locate(read, videos, is_manifest=kind == "manifest")
    notes = list(read.notes)
    if videos is not None:
        notes += [f"{v.name}: not found below {videos}" for v in read.videos if v.name not in paths]
    # The player of Label Studio counts at a rate of its own, which is not that of the file.
    rate = None if (kind, to) == ("label-studio", "manifest") else fps
    known = [_measured(video, paths.get(video.name), measure, rate) for video in read.videos]
    notes += [
        f"{video.name}: {phrase}"
        for video, as_read in zip(known, read.videos, strict=True)
        if kind != "manifest" or video != as_read  # else the notes of the manifest have it
        for phrase in beyond_the_end(video.video("test"))
    ]
    annotations = replace(read, videos=tuple(known))
    notes += _losses(annotations, to)
    if to == "manifest":
        missing = tuple(
            name for name in map(composed_name, classes) if name not in annotations.all_classes()
        )
        annotations = replace(annotations, classes=(*annotations.classes, *missing))
        _check_abnormal(annotations, normal, source)
        write_manifest(_manifest(annotations, paths, split, normal, notes), target)
        files = [target]
    else:
        base = source.parent if videos is None else videos
        files = write_annotations(_with_short_names(annotations, base), target, to, prefix)
    events = sum(len(video.events) + len(video.timed_events) for video in known)
    return Conversion(files, (kind, to), len(known), events, notes)


def _check_target(target: Path, to: str) -> None:
    """Refuse a target that can't be written, before videos are measured.

    Raises:
        AnnotationError: it can't be written.
    """
    try:
        if to == "cvat" and target.suffix.lower() != ".xml":
            check_new_folder(target)
        else:
            check_new_file(target)
    except ValueError as error:
        raise AnnotationError(str(error)) from None


def _without_predictions(read: Annotations, source: Path) -> Annotations:
    """Return the annotations without those that only a model made: they are no labels.

    Raises:
        AnnotationError: nothing else is left.
    """
    guessed = [video.name for video in read.videos if video.predicted]
    if not guessed:
        return read
    people = tuple(video for video in read.videos if not video.predicted)
    tasks = f"tasks with predictions of a model and no annotation: {len(guessed)} "
    tasks += f"({_listed(guessed)})"
    advice = "submit them in Label Studio, and export again"
    if not people:
        raise AnnotationError(f"{source}: has only {tasks}; predictions are no labels: {advice}")
    return replace(read, videos=people).with_note(f"left out are {tasks}; to take them, {advice}")


def _check_abnormal(annotations: Annotations, normal: str, source: Path) -> None:
    """Refuse a manifest whose only class would be the normal one.

    Raises:
        AnnotationError: no video has an abnormal class, and the source declares none.
    """
    if {folded_name(name) for name in annotations.all_classes()} - {folded_name(normal)}:
        return
    raise AnnotationError(
        f"{source}: no video has an event or an abnormal label, so all of them count as "
        f"{normal!r}, and a manifest needs the names of the abnormal classes too: give those of "
        "your other videos with --classes, such as --classes Robbery,Arson"
    )


def _target_format(target: Path) -> str:
    if target.suffix.lower() in MANIFEST_SUFFIXES:
        return "manifest"
    if target.suffix.lower() == ".xml":
        return "cvat"
    raise AnnotationError(f"{target}: name the format with --to: {', '.join(OUTPUT_FORMATS)}")


def _locate(annotations: Annotations, folder: Path | None, is_manifest: bool) -> dict[str, Path]:
    """Return the paths of the videos that are found, by name."""
    if folder is None:
        if not is_manifest:
            return {}
        return {v.name: Path(v.name) for v in annotations.videos if _is_video(Path(v.name))}
    if not folder.is_dir():
        raise AnnotationError(f"{folder}: there is no such folder")
    by_name: dict[str, list[Path]] = {}
    for path in video_files(folder.absolute()):
        for name in {path.name, path.stem}:
            by_name.setdefault(name, []).append(path)
    found: dict[str, Path] = {}
    for video in annotations.videos:
        exact = folder.absolute() / video.name
        candidates = by_name.get(PurePosixPath(video.name).name, [])
        ending = f"/{video.stem}"
        below = [path for path in candidates if str(path.with_suffix("")).endswith(ending)]
        if _is_video(exact):
            found[video.name] = exact
        elif len(below or candidates) > 1:
            places = ", ".join(str(path) for path in (below or candidates)[:3])
            raise AnnotationError(
                f"{video.name}: several files have this name ({places}); give the folder of one"
            )
        elif candidates:
            found[video.name] = (below or candidates)[0]
    return found


def _is_video(path: Path) -> bool:
    return path.is_file() or is_frame_folder(path)


def _measured(
    video: AnnotatedVideo, path: Path | None, measure: VideoLength | None, fps: float | None
) -> AnnotatedVideo:
    """Return the video with length and rate as far as they can be known."""
    if path is not None and measure is not None and (video.fps is None or video.num_frames is None):
        num_frames, rate = measure(path)
        return replace(video, fps=video.fps or rate, num_frames=video.num_frames or num_frames)
    return video if video.fps or fps is None else replace(video, fps=fps)


def _losses(annotations: Annotations, to: str) -> list[str]:
    """Name what the target format has no place for."""
    notes = []
    sentences = sum(len(video.sentences) for video in annotations.videos)
    if sentences and to not in ("fiftyone", "coco-vid"):
        notes.append(f"{sentences} sentences are left out: {to} has no place for them")
    if to in ("cvat", "fiftyone"):
        untimed = [
            video.name
            for video in annotations.videos
            if set(video.labels) - video.event_labels() - set(annotations.classes[:1])
        ]
        if untimed:
            notes.append(
                f"the labels of {_listed(untimed)} are left out: {to} has no place for labels "
                "without times here"
            )
    if to == "manifest" and any(video.scores for video in annotations.videos):
        notes.append("scores are left out: a manifest has no place for them")
    return notes


def _manifest(
    annotations: Annotations,
    paths: dict[str, Path],
    split: Split,
    normal: str,
    notes: list[str],
) -> Manifest:
    names = annotations.all_classes()
    first = annotations.classes[0] if annotations.classes else normal
    if folded_name(first) != folded_name(normal) and normal not in names:
        first = normal
    unlabelled = [video.name for video in annotations.videos if not video.all_labels()]
    if unlabelled:
        notes.append(f"no event and no label, counted as {first!r}: {_listed(unlabelled)}")
    rows = []
    for video in annotations.videos:
        row = video.video(split, first, str(paths.get(video.name, video.name)))
        abnormal = tuple(label for label in row.labels if label != first)
        rows.append(replace(row, labels=abnormal or row.labels))
    return Manifest((first, *(name for name in names if name != first)), tuple(rows))


def _with_short_names(annotations: Annotations, base: Path) -> Annotations:
    """Name videos below a folder by their path in it, as tools do."""
    top = PurePosixPath(base.absolute().as_posix())
    videos = []
    for video in annotations.videos:
        path = PurePosixPath(video.name)
        inside = path.is_absolute() and path.is_relative_to(top)
        short = str(path.relative_to(top)) if inside else video.name
        videos.append(replace(video, name=short))
    return replace(annotations, videos=tuple(videos))


def _listed(names: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
