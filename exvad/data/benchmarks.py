"""Published benchmarks as manifests: UCF-Crime and XD-Violence from their official files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from exvad.data.annotations.clock import beyond_the_end
from exvad.data.annotations.uca import class_of_name
from exvad.data.folders import video_finder
from exvad.data.manifest import Manifest
from exvad.data.official_files import (
    XD_VIOLENCE_CODES,
    OfficialFile,
    VideoLength,
    describe_codes,
    read_lengths,
    read_lines,
    read_table,
    read_ucf_events,
    read_xd_events,
    read_xd_spans,
    video_id_of,
)
from exvad.data.records import Event, ManifestError, Split, Video
from exvad.data.storage.video_names import VIDEO_SUFFIXES

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
_UCF_EVENTS = "Temporal_Anomaly_Annotation.txt"
_UCF_LISTS: tuple[tuple[Split, str], ...] = (
    ("train", "Anomaly_Train.txt"),
    ("test", "Anomaly_Test.txt"),
)
_UCF_COUNTS: dict[Split, int] = {"train": 1610, "test": 290}
_XD_COUNTS: dict[Split, int] = {"train": 3954, "test": 800}


def ucf_crime(root: str | Path, annotations: str | Path) -> Manifest:
    """Return UCF-Crime (Sultani et al., CVPR 2018) from its official files.

    `Anomaly_Train.txt` (1,610 videos) and `Anomaly_Test.txt` (290) define the split, and
    `Temporal_Anomaly_Annotation.txt` the events. `test_lengths.csv` (`video,label,snippets,frames`)
    is optional: with it, test videos are in its order, in which the literature evaluates, and have
    their length and their number of scored snippets; without it, they are in the order of the list.
    The file of the events may have its longer name of the download. Lists without the folders of
    the classes are read too, as the names begin with the class. Where the files differ from each
    other or from the published counts, the notes of the manifest say so.

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
    events = read_ucf_events(_ucf_events_file(folder), problems)
    has_lengths = (folder / LENGTHS_FILE).is_file()
    lengths = read_lengths(folder / LENGTHS_FILE, problems) if has_lengths else OfficialFile()
    videos = _ucf_videos(root, folder, problems)
    _raise_if_any(problems)
    test, notes = _with_ground_truth(videos["test"], lengths, events, folder)
    train = list(videos["train"].values.values())
    notes += _count_notes(folder, {"train": train, "test": test}, _UCF_COUNTS, _UCF_LISTS)
    return Manifest(UCF_CRIME_CLASSES, (*train, *test), tuple(notes))


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
        f"{spans.lines[video_id]}: {video_id} is not a test video"
        for video_id in spans.values.keys() - lengths.values
    ]
    _raise_if_any(problems)
    listed, notes = _with_ground_truth(videos["test"], lengths, events, folder)
    test = [_with_spans(video, spans.values.get(video.video_id, [])) for video in listed]
    train = list(videos["train"].values.values())
    files: list[tuple[Split, str]] = [("train", "train_videos.csv"), ("test", LENGTHS_FILE)]
    notes += _count_notes(folder, {"train": train, "test": test}, _XD_COUNTS, files)
    return Manifest(XD_VIOLENCE_CLASSES, (*train, *test), tuple(notes))


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


def _ucf_events_file(folder: Path) -> Path:
    """Return the file of the events; the download calls it `…_for_Testing_Videos.txt`."""
    names = [folder / _UCF_EVENTS, *sorted(folder.glob(f"{Path(_UCF_EVENTS).stem}_*.txt"))]
    return next((path for path in names if path.is_file()), names[0])


def _ucf_videos(
    root: str | Path, folder: Path, problems: list[str]
) -> dict[Split, OfficialFile[Video]]:
    find = video_finder(root)
    videos: dict[Split, OfficialFile[Video]] = {"train": OfficialFile(), "test": OfficialFile()}
    counts: Counter[tuple[Split, str]] = Counter()
    for split, name in _UCF_LISTS:
        for location, line in read_lines(folder / name, problems):
            path = PurePosixPath(line.replace("\\", "/"))
            video_id = video_id_of(str(path))
            label = _ucf_label(path)
            if label is None:
                problems.append(f"{location}: {line!r} lies in no folder of a known class")
                continue
            counts[split, video_id] += 1
            if counts[split, video_id] > 1:
                problems.append(
                    f"{location}: {video_id} is listed {counts[split, video_id]} times; "
                    f"first at {videos[split].lines[video_id]}"
                )
                continue
            if split == "test" and video_id in videos["train"].values:
                earlier = videos["train"].lines[video_id]
                problems.append(f"{location}: {video_id} is also a training video ({earlier})")
            suffix = path.suffix if path.suffix.lower() in VIDEO_SUFFIXES else ".mp4"
            relative = str(path.with_name(video_id + suffix))
            video = Video(video_id, find(relative), split, (label,))
            videos[split].add(video_id, video, location, problems)
    return videos


def _ucf_label(path: PurePosixPath) -> str | None:
    """Return the class of a video: that of its folder, or of its name if it has no folder."""
    folder = path.parent.name
    if folder:
        label = "Normal" if "Normal" in folder else folder
        return label if label in UCF_CRIME_CLASSES else None
    return class_of_name(path.name, UCF_CRIME_CLASSES)


def _xd_videos(
    root: str | Path,
    folder: Path,
    lengths: OfficialFile[VideoLength],
    problems: list[str],
) -> dict[Split, OfficialFile[Video]]:
    find = video_finder(root)
    train = read_table(folder / "train_videos.csv", ("video", "label"), problems)
    rows: list[tuple[str, str, str, Split]] = [
        *((location, video_id_of(row["video"]), row["label"], "train") for location, row in train),
        *((lengths.lines[name], name, row.label, "test") for name, row in lengths.values.items()),
    ]
    videos: dict[Split, OfficialFile[Video]] = {"train": OfficialFile(), "test": OfficialFile()}
    for location, video_id, label, split in rows:
        codes = tuple(dict.fromkeys(code for code in label.split("-") if code != "0"))
        if not codes or not set(codes) <= set(XD_VIOLENCE_CODES):
            problems.append(f"{location}: {video_id}: {label!r} is not made of {describe_codes()}")
            continue
        if len(codes) > 1 and "A" in codes:
            problems.append(
                f"{location}: {video_id}: the labels mix 'Normal' with abnormal classes ({label})"
            )
            continue
        earlier = videos["train"].lines.get(video_id)
        if earlier is not None:
            problems.append(f"{location}: the id {video_id!r} is already used at {earlier}")
            continue
        labels = tuple(XD_VIOLENCE_CODES[code] for code in codes)
        video = Video(video_id, find(f"{video_id}.mp4"), split, labels)
        videos[split].add(video_id, video, location, problems)
    return videos


def _raise_if_any(problems: Sequence[str]) -> None:
    if problems:
        raise ManifestError(problems)


def _with_ground_truth(
    videos: OfficialFile[Video],
    lengths: OfficialFile[VideoLength],
    events: OfficialFile[tuple[Event, ...]],
    folder: Path,
) -> tuple[list[Video], list[str]]:
    """Return the test videos with lengths and events, in the order of `lengths` if there are any.

    Returns:
        The videos, and a note per line whose class or length differs from that of another file.

    Raises:
        ManifestError: the files do not list the same videos.
    """
    problems = [
        f"{file.lines[video_id]}: {video_id} is annotated but is not a test video"
        for file in (events, lengths)
        for video_id in file.values
        if video_id not in videos.values
    ]
    for video_id, video in videos.values.items():
        where = videos.lines[video_id]
        if lengths.values and video_id not in lengths.values:
            problems.append(
                f"{folder / LENGTHS_FILE}: the test video {video_id} is missing ({where})"
            )
        if video.abnormal and not events.values.get(video_id):
            problems.append(f"{where}: the abnormal test video {video_id} has no event")
    _raise_if_any(problems)
    annotated: list[Video] = []
    notes: list[str] = []
    for video_id in lengths.values or videos.values:
        video = replace(videos.values[video_id], events=events.values.get(video_id, ()))
        where = events.lines.get(video_id, videos.lines[video_id])
        if video_id in lengths.values:
            length = lengths.values[video_id]
            video = replace(video, num_frames=length.frames, snippets=length.snippets)
        notes += [f"{where}: {video_id}: {phrase}" for phrase in beyond_the_end(video)]
        other = sorted({event.label for event in video.events} - set(video.labels))
        if other:
            notes.append(
                f"{where}: {video_id} has the label {', '.join(video.labels)} and an event of "
                f"{', '.join(other)}; both are kept"
            )
        annotated.append(video)
    return annotated, notes


def _count_notes(
    folder: Path,
    videos: Mapping[Split, Sequence[Video]],
    counts: Mapping[Split, int],
    files: Sequence[tuple[Split, str]],
) -> list[str]:
    """Note lists that do not have as many videos as the published ones."""
    return [
        f"{folder / name}: {len(videos[split])} videos; the published list has {counts[split]}"
        for split, name in files
        if len(videos[split]) != counts[split]
    ]


def _with_spans(video: Video, spans: list[tuple[int, int]]) -> Video:
    """Return the video with `spans` if they cover other frames than its events."""
    event_frames = _frames([(event.start, event.end) for event in video.events])
    return video if _frames(spans) == event_frames else replace(video, spans=tuple(spans))


def _frames(intervals: Sequence[tuple[int, int]]) -> set[int]:
    return {frame for start, end in intervals for frame in range(start, end)}
