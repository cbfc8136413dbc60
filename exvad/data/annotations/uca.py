"""UCA, the sentences about UCF-Crime (Yuan et al., CVPR 2024): its JSON and its text files.

A sentence describes an interval; it has no class, and not every interval is abnormal. The class of
the video is in its name. So UCA gives labels of videos and sentences, but no events.
"""

from __future__ import annotations

import re
from pathlib import Path

from exvad.data.annotations.annotated import AnnotatedVideo, AnnotationError, Annotations, Sentence
from exvad.data.annotations.parsing import (
    as_dict,
    as_list,
    as_number,
    as_text,
    read_json,
    read_text,
)
from exvad.data.annotations.times import parse_interval
from exvad.data.records import Split

_LINE = re.compile(r"(?P<name>\S+)\s+(?P<start>\S+)\s+(?P<end>\S+)\s*##(?P<text>.*)")
_SPLITS: dict[str, Split] = {"train": "train", "val": "val", "test": "test"}


def read_uca(path: Path, classes: tuple[str, ...]) -> Annotations:
    """Read `UCFCrime_Test.json`, `UCFCrime_Test.txt` and their like.

    The split is in the name of the file.

    Args:
        path: a `.json` or `.txt` file.
        classes: the classes of UCF-Crime, the normal class first.

    Raises:
        AnnotationError: it is no file of UCA; the message names the place.
    """
    read = _read_lines if path.suffix.lower() == ".txt" else _read_videos
    words = re.split(r"[^a-z]+", path.stem.lower())
    split = next((_SPLITS[word] for word in words if word in _SPLITS), None)
    videos: list[AnnotatedVideo] = []
    notes: list[str] = []
    for name, sentences in read(path, notes).items():
        label = class_of_name(name, classes)
        if label is None:
            notes.append(f"{path}: the name {name!r} begins with no class of UCF-Crime")
        labels = () if label is None else (label,)
        videos.append(AnnotatedVideo(name, labels, sentences=tuple(sentences), split=split))
    if not videos:
        raise AnnotationError(f"{path}: there are no sentences")
    return Annotations(tuple(videos), classes, tuple(notes))


def class_of_name(name: str, classes: tuple[str, ...]) -> str | None:
    """Return the class that the name of a video of UCF-Crime begins with, or None.

    Args:
        name: such as `Abuse001_x264` or `Normal_Videos_003_x264`.
        classes: the classes of UCF-Crime, the normal class first.
    """
    match = re.match(r"([A-Za-z]+?)(?:_Videos)?_?\d", name)
    return match[1] if match and match[1] in classes else None


def _read_videos(path: Path, notes: list[str]) -> dict[str, list[Sentence]]:
    sentences: dict[str, list[Sentence]] = {}
    for name, value in as_dict(read_json(path), str(path)).items():
        where = f"{path}: {name}"
        record = as_dict(value, where)
        duration = as_number(record.get("duration"), f"{where}: duration")
        times = as_list(record.get("timestamps"), f"{where}: timestamps")
        texts = as_list(record.get("sentences"), f"{where}: sentences")
        if len(times) != len(texts):
            raise AnnotationError(f"{where}: {len(times)} timestamps for {len(texts)} sentences")
        sentences[name] = []
        for number, (interval, text) in enumerate(zip(times, texts, strict=True), 1):
            place = f"{where}: sentence {number}"
            pair = [as_number(time, place) for time in as_list(interval, place)]
            if len(pair) != 2 or pair[1] <= pair[0]:
                raise AnnotationError(f"{place}: {interval} is not [start, end] in seconds")
            if pair[1] > duration:
                notes.append(f"{place} ends at {pair[1]:g} s, after the end at {duration:g} s")
            sentences[name].append(Sentence(pair[0], pair[1], as_text(text, place)))
    return sentences


def _read_lines(path: Path, notes: list[str]) -> dict[str, list[Sentence]]:
    del notes  # the text files have no durations
    sentences: dict[str, list[Sentence]] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        interval = match and parse_interval(f"{match['start']}-{match['end']}")
        if match is None or interval is None or not match["text"].strip():
            raise AnnotationError(
                f"{path}:{number}: {line[:80]!r} is not 'name mm:ss.s mm:ss.s ##sentence'"
            )
        if interval.end <= interval.start:
            raise AnnotationError(f"{path}:{number}: the end must be above the start")
        sentence = Sentence(float(interval.start), float(interval.end), match["text"].strip())
        sentences.setdefault(match["name"], []).append(sentence)
    return sentences
