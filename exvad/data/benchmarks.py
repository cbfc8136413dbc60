"""Known datasets as manifests: UCF-Crime, XD-Violence, and any folder with one subfolder per class.

A dataset described by a manifest file of its own is read with `Manifest.read`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from exvad.data.folders import folder_per_class, video_finder
from exvad.data.manifest import Manifest
from exvad.data.official_files import (
    XD_VIOLENCE_CODES,
    Length,
    code_list,
    read_lengths,
    read_lines,
    read_table,
    read_ucf_events,
    read_xd_events,
    read_xd_spans,
)
from exvad.data.records import Event, ManifestError, Split, Video

__all__ = [
    "UCF_CRIME_CLASSES",
    "XD_VIOLENCE_CLASSES",
    "XD_VIOLENCE_CODES",
    "folder_per_class",
    "ucf_crime",
    "vadclip_events",
    "xd_violence",
]

LENGTHS = "test_lengths.csv"
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


def ucf_crime(root: str | Path, annotations: str | Path) -> Manifest:
    """UCF-Crime (Sultani et al., CVPR 2018) from its official files.

    The split is `Anomaly_Train.txt` (1,610 videos) and `Anomaly_Test.txt` (290), events come from
    `Temporal_Anomaly_Annotation.txt`. Where `test_lengths.csv` is there (`video,label,snippets,
    frames`), test videos are in its order, the one the literature evaluates in, with their length
    and the number of snippets that are scored; without it, in the order of the list.

    Args:
        root: the folder (or URI) of the videos, laid out as in the lists
            (`Abuse/Abuse001_x264.mp4`, `Training_Normal_Videos_Anomaly/…`). A local video that
            does not lie there is looked for by name anywhere below the root.
        annotations: the folder of the files above.

    Raises:
        ManifestError: a file is missing or not as expected; lists every problem.
    """
    folder, find = Path(annotations), video_finder(root)
    problems: list[str] = []
    events = read_ucf_events(folder / "Temporal_Anomaly_Annotation.txt", problems)
    with_lengths = (folder / LENGTHS).is_file()
    lengths = read_lengths(folder / LENGTHS, problems) if with_lengths else {}
    videos: dict[Split, list[Video]] = {"train": [], "test": []}
    lists: tuple[tuple[Split, str], ...] = (
        ("train", "Anomaly_Train.txt"),
        ("test", "Anomaly_Test.txt"),
    )
    for split, name in lists:
        for place, line in read_lines(folder / name, problems):
            path = PurePosixPath(line)
            label = "Normal" if "Normal" in path.parent.name else path.parent.name
            if label not in UCF_CRIME_CLASSES:
                problems.append(f"{place}: {line!r} lies in no folder of a known class")
            videos[split].append(Video(path.stem, find(line), split, (label,)))
    _stop(problems)
    test = _with_truth(videos["test"], lengths, events, folder)
    return Manifest(UCF_CRIME_CLASSES, (*videos["train"], *test))


def xd_violence(root: str | Path, annotations: str | Path) -> Manifest:
    """XD-Violence (Wu et al., ECCV 2020) from its official files.

    Labels sit in the names: `A` is normal, B1 fighting, B2 shooting, B4 riot, B5 abuse, B6 car
    accident, G explosion (`XD_VIOLENCE_CODES`, in the order of the literature's class list); an
    abnormal video has up to three. The videos are `train_videos.csv` (3,954; `video,label`) and
    `test_lengths.csv` (800; `video,label,snippets,frames`).

    Test events come from `annotations_multiclasses.txt`, the file detection mAP is computed with
    in the literature. Frame-level AP is computed there with `annotations.txt`, which has no
    classes; in five videos its frames are not those of the events (at the joints of two events,
    and one event of a car accident is missing), so those five carry `Video.spans`. One video that
    its name calls a riot (`Ip.Man.2008`) has an event of fighting; both are kept as published.

    Args:
        root: the folder (or URI) of the videos. A local video that does not lie directly in it is
            looked for by name anywhere below, because the parts of the download have folders.
        annotations: the folder of the four files above.

    Raises:
        ManifestError: a file is missing or not as expected; lists every problem.
    """
    folder, find = Path(annotations), video_finder(root)
    problems: list[str] = []
    events = read_xd_events(folder / "annotations_multiclasses.txt", problems)
    spans = read_xd_spans(folder / "annotations.txt", problems)
    lengths = read_lengths(folder / LENGTHS, problems)
    rows: list[tuple[str, str, str, Split]] = [
        (place, row["video"], row["label"], "train")
        for place, row in read_table(folder / "train_videos.csv", ("video", "label"), problems)
    ]
    rows += [(str(folder / LENGTHS), name, row.label, "test") for name, row in lengths.items()]
    videos: dict[Split, list[Video]] = {"train": [], "test": []}
    for place, name, label, split in rows:
        codes = tuple(dict.fromkeys(code for code in label.split("-") if code != "0"))
        if not codes or not set(codes) <= set(XD_VIOLENCE_CODES):
            problems.append(f"{place}: {name}: {label!r} is not made of {code_list()}")
            continue
        labels = tuple(XD_VIOLENCE_CODES[code] for code in codes)
        videos[split].append(Video(name, find(f"{name}.mp4"), split, labels))
    unlisted = sorted(spans.keys() - lengths)
    problems += [f"{folder / 'annotations.txt'}: {name} is no test video" for name in unlisted]
    _stop(problems)
    test = _with_truth(videos["test"], lengths, events, folder)
    return Manifest(
        XD_VIOLENCE_CLASSES,
        (*videos["train"], *(_with_spans(video, spans.get(video.video_id, [])) for video in test)),
    )


def vadclip_events(
    manifest: Manifest, frames: Mapping[str, int] | None = None
) -> list[list[tuple[int, int, str]]]:
    """The ground truth of detection mAP under the `vadclip` protocol, per test video in order.

    In XD-Violence each normal video adds one segment of the normal class over all its scored
    frames; in UCF-Crime, and in any other dataset, the normal class has none (the public ground
    truth of UCF-Crime has such segments under a name that is none of its classes, so they never
    count, and the class counts 0 in the mean).

    Args:
        manifest: any; XD-Violence is known by its classes.
        frames: scored frames by video id; by default `Video.scored_frames`.

    Returns:
        For each test video its `(start, end, label)` in frames, half-open.

    Raises:
        ValueError: the length of a normal video of XD-Violence is not known.
    """
    truth = []
    for video in manifest.of_split("test"):
        events = video.class_events()
        if manifest.classes == XD_VIOLENCE_CLASSES and not video.abnormal:
            known = video.scored_frames if frames is None else frames.get(video.video_id)
            if known is None:
                raise ValueError(
                    f"the number of scored frames of {video.video_id} is not known, but the "
                    "vadclip protocol needs it for the segment of the normal class; add "
                    "num_frames to the manifest or give `frames`"
                )
            events = [(0, known, manifest.normal)]
        truth.append(events)
    return truth


def _stop(problems: Sequence[str]) -> None:
    if problems:
        raise ManifestError(problems)


def _with_truth(
    videos: Sequence[Video],
    lengths: Mapping[str, Length],
    events: Mapping[str, tuple[Event, ...]],
    folder: Path,
) -> list[Video]:
    """The test videos with lengths and events, in the order of `lengths` where there are any.

    Raises:
        ManifestError: the files do not speak of the same videos.
    """
    by_id = {video.video_id: video for video in videos}
    problems = [
        f"{folder}: {name} is annotated but is no test video"
        for name in sorted({*events, *lengths} - set(by_id))
    ]
    for name, count in Counter(video.video_id for video in videos).items():
        if count > 1:
            problems.append(f"{folder}: {name} is listed {count} times")
        if lengths and name not in lengths:
            problems.append(f"{folder / LENGTHS}: the test video {name} is missing")
        if by_id[name].abnormal and name not in events:
            problems.append(f"{folder}: the abnormal test video {name} has no event")
    _stop(problems)
    found = []
    for name in lengths or by_id:
        video = replace(by_id[name], events=events.get(name, ()))
        if name in lengths:
            length = lengths[name]
            video = replace(video, num_frames=length.frames, snippets=length.snippets)
        found.append(video)
    return found


def _with_spans(video: Video, spans: list[tuple[int, int]]) -> Video:
    """The video with `spans`, where these are other frames than those of its events."""
    same = _frames(spans) == _frames([(event.start, event.end) for event in video.events])
    return video if same else replace(video, spans=tuple(spans))


def _frames(stretches: Sequence[tuple[int, int]]) -> set[int]:
    return {frame for start, end in stretches for frame in range(start, end)}
