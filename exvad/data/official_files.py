"""Read the official annotation files of UCF-Crime and XD-Violence, line by line.

Every reader appends `location: description` of each line that it cannot parse to `problems` and
continues with the next line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from exvad.data.records import Event

_T = TypeVar("_T")

XD_VIOLENCE_CODES = {
    "A": "Normal",
    "B1": "fighting",
    "B2": "shooting",
    "B4": "riot",
    "B5": "abuse",
    "B6": "car accident",
    "G": "explosion",
}


@dataclass(frozen=True, slots=True)
class VideoLength:
    """A row of `test_lengths.csv`: label, scored snippets and frames of a test video."""

    label: str
    snippets: int
    frames: int


def read_ucf_events(path: Path, problems: list[str]) -> dict[str, tuple[Event, ...]]:
    """Read `name class start end start end`, −1 for no event.

    Returns:
        Events by video id, of the videos that have any.
    """
    events_of: dict[str, tuple[Event, ...]] = {}
    for location, line, video_id, cells in _read_cells(path, problems):
        frames = [int(cell) for cell in cells[1:] if cell == "-1" or _is_frame(cell)]
        if len(cells) != 5 or len(frames) != 4:
            problems.append(f"{location}: {line!r} is not 'name class start end start end'")
            continue
        intervals = (frames[:2], frames[2:])
        events = tuple(Event(s, e, cells[0]) for s, e in intervals if (s, e) != (-1, -1))
        _add(events_of, video_id, events, location, problems)
    return {video_id: events for video_id, events in events_of.items() if events}


def read_xd_events(path: Path, problems: list[str]) -> dict[str, tuple[Event, ...]]:
    """Read `name code start end code start end …`.

    Returns:
        Events by video id, in the order of the file.
    """
    events_of: dict[str, tuple[Event, ...]] = {}
    for location, line, video_id, cells in _read_cells(path, problems):
        triples = list(zip(cells[::3], cells[1::3], cells[2::3], strict=False))
        valid = all(c in XD_VIOLENCE_CODES and _is_frame(s) and _is_frame(e) for c, s, e in triples)
        if not valid or len(cells) != 3 * len(triples):
            codes = describe_codes()
            problems.append(f"{location}: {line!r} is not 'name code start end …', of {codes}")
            continue
        events = tuple(Event(int(s), int(e), XD_VIOLENCE_CODES[c]) for c, s, e in triples)
        _add(events_of, video_id, events, location, problems)
    return events_of


def read_xd_spans(path: Path, problems: list[str]) -> dict[str, list[tuple[int, int]]]:
    """Read `name start end start end …`.

    Returns:
        Abnormal intervals, half-open in frames, by video id.
    """
    spans_of: dict[str, list[tuple[int, int]]] = {}
    for location, line, video_id, cells in _read_cells(path, problems):
        if len(cells) % 2 or not all(_is_frame(cell) for cell in cells):
            problems.append(f"{location}: {line!r} is not 'name start end start end …'")
            continue
        spans = [(int(s), int(e)) for s, e in zip(cells[::2], cells[1::2], strict=True)]
        _add(spans_of, video_id, spans, location, problems)
    return spans_of


def read_lengths(path: Path, problems: list[str]) -> dict[str, VideoLength]:
    """Read the table `video,label,snippets,frames`.

    Returns:
        Lengths by video id, in the order of the file.
    """
    lengths: dict[str, VideoLength] = {}
    for location, row in read_table(path, ("video", "label", "snippets", "frames"), problems):
        if not (_is_frame(row["snippets"]) and _is_frame(row["frames"])):
            problems.append(f"{location}: snippets and frames must be whole numbers")
            continue
        length = VideoLength(row["label"], int(row["snippets"]), int(row["frames"]))
        _add(lengths, row["video"], length, location, problems)
    return lengths


def read_table(
    path: Path, columns: Sequence[str], problems: list[str]
) -> list[tuple[str, dict[str, str]]]:
    """Return location (`file:line`) and cells of each row of a CSV file with these columns."""
    lines = read_lines(path, problems)
    parsed = [(location, next(csv.reader([line]))) for location, line in lines]
    header = parsed[0][1] if parsed else []
    if lines and not set(columns) <= set(header):
        problems.append(f"{lines[0][0]}: the columns must be {', '.join(columns)}")
        return []
    rows = []
    for location, cells in parsed[1:]:
        if len(cells) == len(header):
            rows.append((location, dict(zip(header, cells, strict=True))))
        else:
            problems.append(f"{location}: {len(cells)} cells for {len(header)} columns")
    return rows


def read_lines(path: Path, problems: list[str]) -> list[tuple[str, str]]:
    """Return location (`file:line`) and text of each line that is not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        problems.append(
            f"{path}: cannot be read: {error.strerror}; it is one of the official files"
        )
        return []
    except UnicodeDecodeError:
        problems.append(f"{path}: this is not UTF-8 text; it is not the official file")
        return []
    lines = enumerate(text.split("\n"), 1)
    return [(f"{path}:{number}", line.strip()) for number, line in lines if line.strip()]


def describe_codes() -> str:
    """Return the codes of XD-Violence with their classes, for messages."""
    return ", ".join(f"{code} ({label})" for code, label in XD_VIOLENCE_CODES.items())


def _read_cells(path: Path, problems: list[str]) -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield location, text, video id and the other cells of each line."""
    for location, line in read_lines(path, problems):
        name, *cells = line.split()
        yield location, line, name.removesuffix(".mp4"), cells


def _is_frame(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def _add(
    values: dict[str, _T], video_id: str, value: _T, location: str, problems: list[str]
) -> None:
    if video_id in values:
        problems.append(f"{location}: {video_id} is already listed in a line above")
    values[video_id] = value
