"""Settle the rows of a manifest file: spellings of labels, several rows of one video, units.

A row per event is how most tools write, and people write `robbery` beside `Robbery`. What has one
meaning is settled and noted; what has two is asked about, with the line.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from exvad.config.counts import count_of
from exvad.data.annotations.class_names import composed_name, folded_name
from exvad.data.manifest_checks import Problem
from exvad.data.records import Video

_SIMILAR = 0.87  # `Figthing` and `Fighting` are 0.875 alike
_LETTERS = 5  # of words in which one wrong letter is rather a slip than another word
_RARE, _RARE_SHARE = 3, 1 / 20


def join_rows(
    videos: Sequence[Video], locations: Sequence[str]
) -> tuple[list[Video], list[str], list[Problem], list[str]]:
    """Join the rows that list further events of a video.

    Args:
        videos: the rows, in the order of the file.
        locations: where each row is.

    Returns:
        The videos, where each begins, the rows that contradict each other, and notes.
    """
    joined: dict[tuple[str, str], tuple[Video, str]] = {}
    repeated: list[str] = []
    videos = [
        _without_doubles(video, location, repeated)
        for video, location in zip(videos, locations, strict=True)
    ]
    problems: list[Problem] = []
    counts: Counter[tuple[str, str]] = Counter()
    for number, (video, location) in enumerate(zip(videos, locations, strict=True)):
        key = (video.video_id, video.path)
        if not video.path or key not in joined:
            joined[key if video.path else ("", str(number))] = video, location
            continue
        first, first_location = joined[key]
        if _has_times(video) and _says_nothing_new(first, video):
            repeated.append(
                f"{location}: what this row says of {key[0]} stands at {first_location} already; "
                "it counts once"
            )
            continue
        contradiction = _contradiction(first, video)
        if contradiction:
            problems.append((location, f"{contradiction} at {first_location}; correct one of them"))
        else:
            counts[key] += 1
            joined[key] = _join(first, video), first_location
    notes = [
        f"{joined[key][1]}: {count + 1} rows of {key[0]} are joined to one video"
        for key, count in counts.items()
    ] + repeated
    return [v for v, _ in joined.values()], [where for _, where in joined.values()], problems, notes


def settle_spelling(
    videos: Sequence[Video], classes: Sequence[str]
) -> tuple[list[Video], list[str]]:
    """Give labels that differ only in case, blanks, `_` and `-` the spelling of their class.

    Of letters that have two forms in Unicode (`Ü`), the composed one is taken.

    Args:
        videos: the videos.
        classes: the classes that the file names, composed. Empty: the labels are the classes; of
            two spellings that differ in case the one with the earlier capital letter counts, of
            others the more frequent one.

    Returns:
        The videos with settled labels, and a note per spelling.
    """
    written = [label for video in videos for label in _labels(video)]
    composed = {label: form for label in set(written) if (form := composed_name(label)) != label}
    if composed:  # the two forms look the same, so there is nothing to note
        return settle_spelling([_relabel(video, composed) for video in videos], classes)
    spellings: dict[str, set[str]] = {}
    for name in classes or written:
        spellings.setdefault(_fold(name), set()).add(name)
    known = set(classes)
    frequency = Counter(name.casefold() for name in written)
    # Classes that differ in case only are distinct, because the file names them so.
    settled = {
        label: min(names, key=lambda name: (-frequency[name.casefold()], name))
        for label in set(written) - known
        if (names := spellings.get(_fold(label))) and (not classes or len(names) == 1)
    }
    settled = {label: name for label, name in settled.items() if label != name}
    counts = Counter(label for label in written if label in settled)
    notes = [
        f"the label {label!r} is read as {settled[label]!r} ({count_of(count, 'time')})"
        for label, count in counts.items()
    ]
    return [_relabel(video, settled) for video in videos] if settled else list(videos), notes


def near_misses(videos: Sequence[Video], locations: Sequence[str], normal: str) -> list[Problem]:
    """Ask about labels that are almost another one, in a file that names no classes.

    Rare ones are asked about, and, however frequent they are, those that are almost the normal
    class: videos with them would be abnormal.

    Args:
        videos: the videos, with settled labels.
        locations: where each of them is.
        normal: the normal class.
    """
    counts = Counter(label for video in videos for label in video.labels)
    problems: list[Problem] = []
    asked: set[str] = set()
    for video, location in zip(videos, locations, strict=True):
        for label in video.labels:
            closest = None if label in asked else _near_miss(label, counts, normal)
            if closest is not None:
                asked.add(label)
                question = (
                    f"did you mean {closest!r} by {label!r}? Correct it, or, if both are classes, "
                    "name all of them in a first line '# classes: Normal, …'"
                )
                problems.append((location, question))
    return problems


def mixed_units(unmarked: Sequence[tuple[str, str]], in_seconds: Sequence[str]) -> list[Problem]:
    """Refuse whole numbers without a unit in a file whose other times are seconds.

    Args:
        unmarked: location and text of each event whose times have no mark.
        in_seconds: locations of events in seconds.
    """
    if not in_seconds:
        return []
    return [
        (
            location,
            f"the event {text!r} may be in frames or, like that at {in_seconds[0]}, in seconds; "
            f"write {_marked(text, 's')!r} for seconds or {_marked(text, 'f')!r} for frames",
        )
        for location, text in unmarked
    ]


def _marked(text: str, mark: str) -> str:
    return re.sub(r"(\d+)(\s*[-–]\s*)(\d+)\s*$", rf"\1{mark}\2\3{mark}", text)


def _contradiction(first: Video, video: Video) -> str | None:
    """Return what two rows of a video say differently; None if they can be joined."""
    if not _has_times(first) or not _has_times(video):
        return (
            f"the video {video.video_id!r} is listed again: give it one row, with all its labels "
            "and events separated by ';'; it is already"
        )
    for name in ("split", "num_frames", "fps", "snippets"):
        one, other = getattr(first, name), getattr(video, name)
        if one != other and None not in (one, other):
            return f"{name} of {video.video_id!r} is {other} here and {one}"
    return None


def _has_times(video: Video) -> bool:
    return bool(video.events or video.timed_events or video.spans)


def _join(first: Video, video: Video) -> Video:
    def known(name: str) -> object:
        value = getattr(first, name)
        return getattr(video, name) if value is None else value

    return replace(
        first,
        labels=tuple(dict.fromkeys((*first.labels, *video.labels))),
        events=tuple(dict.fromkeys((*first.events, *video.events))),
        timed_events=tuple(dict.fromkeys((*first.timed_events, *video.timed_events))),
        spans=tuple(dict.fromkeys((*first.spans, *video.spans))),
        **{name: known(name) for name in ("num_frames", "fps", "snippets")},  # type: ignore[arg-type]
    )


def _labels(video: Video) -> Iterable[str]:
    events, timed_events = video.events, video.timed_events
    return (*video.labels, *(e.label for e in events), *(e.label for e in timed_events))


def _relabel(video: Video, names: dict[str, str]) -> Video:
    return replace(
        video,
        labels=tuple(names.get(label, label) for label in video.labels),
        events=tuple(replace(e, label=names.get(e.label, e.label)) for e in video.events),
        timed_events=tuple(
            replace(e, label=names.get(e.label, e.label)) for e in video.timed_events
        ),
    )


def _without_doubles(video: Video, location: str, notes: list[str]) -> Video:
    """Return a video with each of its events once, and note those that a row repeats."""
    once: dict[str, Any] = {}
    for name in ("events", "timed_events", "spans"):
        values = getattr(video, name)
        distinct = tuple(dict.fromkeys(values))
        if len(distinct) < len(values):
            once[name] = distinct
            notes.append(
                f"{location}: {len(values) - len(distinct)} of the {name.replace('_', ' ')} of "
                f"{video.video_id} stand there twice; they count once"
            )
    return replace(video, **once) if once else video


def _says_nothing_new(first: Video, video: Video) -> bool:
    """Return whether a row repeats what others say of its video."""
    return all(
        set(getattr(video, name)) <= set(getattr(first, name))
        for name in ("labels", "events", "timed_events", "spans")
    ) and all(
        getattr(video, name) in (None, getattr(first, name))
        for name in ("split", "num_frames", "fps", "snippets")
    )


def _fold(label: str) -> str:
    """Return what labels of one meaning have in common: `Road Accident` and `road_accident`."""
    folded = folded_name(label)
    # Between digits the mark counts: `zone 1-2` is not `zone 12`.
    folded = re.sub(r"(?<=\d)[\s_-]+(?=\d)", ".", folded)
    return re.sub(r"[\s_-]+", "", folded) or label


def _near_miss(label: str, counts: Counter[str], normal: str) -> str | None:
    """Return the normal class or the more frequent label that another one almost is."""
    if label == normal:
        return None
    if _is_misspelling(label.casefold(), normal.casefold()):
        return normal
    for other, count in counts.most_common():
        if other == label:  # what follows is rarer, or comes later in the file
            return None
        rare = counts[label] <= max(_RARE, _RARE_SHARE * count)
        if rare and _is_misspelling(label.casefold(), other.casefold()):
            return other
    return None


def _is_misspelling(one: str, other: str) -> bool:
    # `zone 1` and `zone 2`, `type a` and `type b` are series, not misspellings.
    if one[:-1] == other[:-1] or len({re.sub(r"[\d\s_-]", "", word) for word in (one, other)}) == 1:
        return False
    # Words that begin with another letter, such as `walking` and `talking`, are others.
    is_slip = one[0] == other[0] and min(len(one), len(other)) >= _LETTERS
    if is_slip and _is_one_slip(one, other):
        return True
    return difflib.SequenceMatcher(None, one, other).ratio() >= _SIMILAR


def _is_one_slip(one: str, other: str) -> bool:
    """Return whether one letter is missing, added, wrong or exchanged with the next."""
    start = _shared(one, other)
    one, other = one[start:], other[start:]
    end = _shared(one[::-1], other[::-1])
    one, other = one[: len(one) - end], other[: len(other) - end]
    return max(len(one), len(other)) <= 1 or (len(one) == 2 and one == other[::-1])


def _shared(one: str, other: str) -> int:
    """Return the number of letters with which both begin."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
