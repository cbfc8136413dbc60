"""Published benchmarks as manifests: UCF-Crime and XD-Violence from their official files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from exvad.data.folders import video_finder
from exvad.data.manifest import Manifest
from exvad.data.official_files import (
    XD_VIOLENCE_CODES,
    VideoLength,
    describe_codes,
    read_lengths,
    read_lines,
    read_table,
    read_ucf_events,
    read_xd_events,
    read_xd_spans,
)
from exvad.data.records import Event, ManifestError, Split, Video

LENGTHS_FILE = "test_lengths.csv"
UCF_CRIME_CLASSES = (
    "Normal",
    "Abuse",
    "Arrest",
    "Arson",
    "Assault",
    "Burglary",
    "Explosion",
    "Fighting",
    "RoadAccidents",
    "Robbery",
    "Shooting",
    "Shoplifting",
    "Stealing",
    "Vandalism",
)
XD_VIOLENCE_CLASSES = tuple(XD_VIOLENCE_CODES.values())
_UCF_LISTS: tuple[tuple[Split, str], ...] = (
    ("train", "Anomaly_Train.txt"),
    ("test", "Anomaly_Test.txt"),
)


def ucf_crime(root: str | Path, annotations: str | Path) -> Manifest:
    """Return UCF-Crime (Sultani et al., CVPR 2018) from its official files.

    `Anomaly_Train.txt` (1,610 videos) and `Anomaly_Test.txt` (290) define the split, and
    `Temporal_Anomaly_Annotation.txt` the events. `test_lengths.csv` (`video,label,snippets,frames`)
    is optional: with it, test videos are in its order, in which the literature evaluates, and have
    their length and their number of scored snippets; without it, they are in the order of the list.

    Args:
        root: the folder (or URI) of the videos, laid out as in the lists
            (`Abuse/Abuse001_x264.mp4`, `Training_Normal_Videos_Anomaly/…`). A local video that is
            missing there is searched by name below the root.
        annotations: the folder of the files above.

    Raises:
        ManifestError: a file is missing or malformed; lists every problem.
    """
    folder = Path(annotations)
    problems: list[str] = []
    events = read_ucf_events(folder / "Temporal_Anomaly_Annotation.txt", problems)
    has_lengths = (folder / LENGTHS_FILE).is_file()
    lengths = read_lengths(folder / LENGTHS_FILE, problems) if has_lengths else {}
    videos = _ucf_videos(root, folder, problems)
    _raise_if_any(problems)
    test = _with_ground_truth(videos["test"], lengths, events, folder)
    return Manifest(UCF_CRIME_CLASSES, (*videos["train"], *test))


def xd_violence(root: str | Path, annotations: str | Path) -> Manifest:
    """Return XD-Violence (Wu et al., ECCV 2020) from its official files.

    The file names contain the labels: A normal, B1 fighting, B2 shooting, B4 riot, B5 abuse, B6 car
    accident, G explosion (`XD_VIOLENCE_CODES`, in the order of the literature's class list). An
    abnormal video has up to three. The videos are listed in `train_videos.csv` (3,954;
    `video,label`) and `test_lengths.csv` (800; `video,label,snippets,frames`).

    The literature computes detection mAP with the test events of `annotations_multiclasses.txt`,
    and frame-level AP with `annotations.txt`, which has no classes. The two differ in five videos
    (at the boundary of two events, and in a car accident that only one of them has); those five
    have `Video.spans`. The name of one video says riot (`Ip.Man.2008`), its event says fighting;
    both are kept as published.

    Args:
        root: the folder (or URI) of the videos. A local video that is missing there is searched by
            name below the root, because the parts of the download have folders.
        annotations: the folder of the four files above.

    Raises:
        ManifestError: a file is missing or malformed; lists every problem.
    """
    folder = Path(annotations)
    problems: list[str] = []
    events = read_xd_events(folder / "annotations_multiclasses.txt", problems)
    spans = read_xd_spans(folder / "annotations.txt", problems)
    lengths = read_lengths(folder / LENGTHS_FILE, problems)
    videos = _xd_videos(root, folder, lengths, problems)
    problems += [
        f"{folder / 'annotations.txt'}: {video_id} is not a test video"
        for video_id in sorted(spans.keys() - lengths)
    ]
    _raise_if_any(problems)
    test = [
        _with_spans(video, spans.get(video.video_id, []))
        for video in _with_ground_truth(videos["test"], lengths, events, folder)
    ]
    return Manifest(XD_VIOLENCE_CLASSES, (*videos["train"], *test))


def vadclip_events(
    manifest: Manifest, frames: Mapping[str, int] | None = None
) -> list[list[tuple[int, int, str]]]:
    """Return the ground truth of detection mAP under the `vadclip` protocol.

    In XD-Violence, every normal video adds one segment of the normal class over all its scored
    frames. In UCF-Crime and in any other data set the normal class has no segment. (The public
    ground truth of UCF-Crime has such segments under a name that is not among its classes, so they
    never match, and the class counts as 0 in the mean.)

    Args:
        manifest: any data set; XD-Violence is recognized by its classes.
        frames: scored frames by video id; `Video.scored_frames` by default.

    Returns:
        `(start, end, label)` in frames, half-open, of each test video in order.

    Raises:
        ValueError: the length of a normal video of XD-Violence is unknown.
    """
    truth = []
    for video in manifest.of_split("test"):
        events = video.class_events()
        if manifest.classes == XD_VIOLENCE_CLASSES and not video.abnormal:
            length = video.scored_frames if frames is None else frames.get(video.video_id)
            if length is None:
                raise ValueError(
                    f"the number of scored frames of {video.video_id} is not known, but the "
                    "vadclip protocol needs it for the segment of the normal class; add "
                    "num_frames to the manifest or give `frames`"
                )
            events = [(0, length, manifest.normal)]
        truth.append(events)
    return truth


def _ucf_videos(root: str | Path, folder: Path, problems: list[str]) -> dict[Split, list[Video]]:
    find = video_finder(root)
    videos: dict[Split, list[Video]] = {"train": [], "test": []}
    for split, name in _UCF_LISTS:
        for location, line in read_lines(folder / name, problems):
            path = PurePosixPath(line)
            label = "Normal" if "Normal" in path.parent.name else path.parent.name
            if label not in UCF_CRIME_CLASSES:
                problems.append(f"{location}: {line!r} lies in no folder of a known class")
            videos[split].append(Video(path.stem, find(line), split, (label,)))
    return videos


def _xd_videos(
    root: str | Path, folder: Path, lengths: Mapping[str, VideoLength], problems: list[str]
) -> dict[Split, list[Video]]:
    find = video_finder(root)
    train = read_table(folder / "train_videos.csv", ("video", "label"), problems)
    rows: list[tuple[str, str, str, Split]] = [
        *((location, row["video"], row["label"], "train") for location, row in train),
        *((str(folder / LENGTHS_FILE), name, row.label, "test") for name, row in lengths.items()),
    ]
    videos: dict[Split, list[Video]] = {"train": [], "test": []}
    for location, video_id, label, split in rows:
        codes = tuple(dict.fromkeys(code for code in label.split("-") if code != "0"))
        if not codes or not set(codes) <= set(XD_VIOLENCE_CODES):
            problems.append(f"{location}: {video_id}: {label!r} is not made of {describe_codes()}")
            continue
        labels = tuple(XD_VIOLENCE_CODES[code] for code in codes)
        videos[split].append(Video(video_id, find(f"{video_id}.mp4"), split, labels))
    return videos


def _raise_if_any(problems: Sequence[str]) -> None:
    if problems:
        raise ManifestError(problems)


def _with_ground_truth(
    videos: Sequence[Video],
    lengths: Mapping[str, VideoLength],
    events: Mapping[str, tuple[Event, ...]],
    folder: Path,
) -> list[Video]:
    """Return the test videos with lengths and events, in the order of `lengths` if there are any.

    Raises:
        ManifestError: the files do not list the same videos.
    """
    by_id = {video.video_id: video for video in videos}
    problems = [
        f"{folder}: {video_id} is annotated but is not a test video"
        for video_id in sorted({*events, *lengths} - set(by_id))
    ]
    for video_id, count in Counter(video.video_id for video in videos).items():
        if count > 1:
            problems.append(f"{folder}: {video_id} is listed {count} times")
        if lengths and video_id not in lengths:
            problems.append(f"{folder / LENGTHS_FILE}: the test video {video_id} is missing")
        if by_id[video_id].abnormal and video_id not in events:
            problems.append(f"{folder}: the abnormal test video {video_id} has no event")
    _raise_if_any(problems)
    annotated = []
    for video_id in lengths or by_id:
        video = replace(by_id[video_id], events=events.get(video_id, ()))
        if video_id in lengths:
            length = lengths[video_id]
            video = replace(video, num_frames=length.frames, snippets=length.snippets)
        annotated.append(video)
    return annotated


def _with_spans(video: Video, spans: list[tuple[int, int]]) -> Video:
    """Return the video with `spans` if they cover other frames than its events."""
    event_frames = _frames([(event.start, event.end) for event in video.events])
    return video if _frames(spans) == event_frames else replace(video, spans=tuple(spans))


def _frames(intervals: Sequence[tuple[int, int]]) -> set[int]:
    return {frame for start, end in intervals for frame in range(start, end)}
