"""The official annotation files of UCF-Crime and XD-Violence, line by line.

Every reader appends what it cannot understand to `problems` (`file:line: what`) and goes on.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
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
class Length:
    """What `test_lengths.csv` knows of a test video."""

    label: str
    snippets: int
    frames: int


def read_ucf_events(path: Path, problems: list[str]) -> dict[str, tuple[Event, ...]]:
    """Events by video id, where there are any: `name class start end start end`, −1 for none."""
    found: dict[str, tuple[Event, ...]] = {}
    for place, line in read_lines(path, problems):
        name, *cells = line.split()
        numbers = [int(cell) for cell in cells[1:] if cell == "-1" or _is_frame(cell)]
        if len(cells) != 5 or len(numbers) != 4:
            problems.append(f"{place}: {line!r} is not 'name class start end start end'")
            continue
        stretches = (numbers[:2], numbers[2:])
        events = tuple(Event(s, e, cells[0]) for s, e in stretches if (s, e) != (-1, -1))
        _put(found, name.removesuffix(".mp4"), events, place, problems)
    return {name: events for name, events in found.items() if events}


def read_xd_events(path: Path, problems: list[str]) -> dict[str, tuple[Event, ...]]:
    """Events by video id, in the order of the file: `name code start end code start end …`."""
    found: dict[str, tuple[Event, ...]] = {}
    for place, line in read_lines(path, problems):
        name, *cells = line.split()
        triples = list(zip(cells[::3], cells[1::3], cells[2::3], strict=False))
        known = all(c in XD_VIOLENCE_CODES and _is_frame(s) and _is_frame(e) for c, s, e in triples)
        if not known or len(cells) != 3 * len(triples):
            problems.append(f"{place}: {line!r} is not 'name code start end …', of {code_list()}")
            continue
        events = tuple(Event(int(s), int(e), XD_VIOLENCE_CODES[c]) for c, s, e in triples)
        _put(found, name.removesuffix(".mp4"), events, place, problems)
    return found


def read_xd_spans(path: Path, problems: list[str]) -> dict[str, list[tuple[int, int]]]:
    """Abnormal stretches by video id: `name start end start end …`."""
    found: dict[str, list[tuple[int, int]]] = {}
    for place, line in read_lines(path, problems):
        name, *cells = line.split()
        if len(cells) % 2 or not all(_is_frame(cell) for cell in cells):
            problems.append(f"{place}: {line!r} is not 'name start end start end …'")
            continue
        spans = [(int(s), int(e)) for s, e in zip(cells[::2], cells[1::2], strict=True)]
        _put(found, name.removesuffix(".mp4"), spans, place, problems)
    return found


def read_lengths(path: Path, problems: list[str]) -> dict[str, Length]:
    """Lengths by video id, in the order of the file: `video,label,snippets,frames`."""
    found: dict[str, Length] = {}
    for place, row in read_table(path, ("video", "label", "snippets", "frames"), problems):
        if not (_is_frame(row["snippets"]) and _is_frame(row["frames"])):
            problems.append(f"{place}: snippets and frames must be whole numbers")
            continue
        length = Length(row["label"], int(row["snippets"]), int(row["frames"]))
        _put(found, row["video"], length, place, problems)
    return found


def read_table(
    path: Path, columns: Sequence[str], problems: list[str]
) -> list[tuple[str, dict[str, str]]]:
    """Place (`file:line`) and cells of each row of a CSV file that has at least `columns`."""
    lines = read_lines(path, problems)
    table = [(place, next(csv.reader([line]))) for place, line in lines]
    header = table[0][1] if table else []
    if lines and not set(columns) <= set(header):
        problems.append(f"{lines[0][0]}: the columns must be {', '.join(columns)}")
        return []
    found = []
    for place, cells in table[1:]:
        if len(cells) == len(header):
            found.append((place, dict(zip(header, cells, strict=True))))
        else:
            problems.append(f"{place}: {len(cells)} cells for {len(header)} columns")
    return found


def read_lines(path: Path, problems: list[str]) -> list[tuple[str, str]]:
    """Place (`file:line`) and text of each line that is not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as problem:
        problems.append(
            f"{path}: cannot be read: {problem.strerror}; it is one of the official files"
        )
        return []
    except UnicodeDecodeError:
        problems.append(f"{path}: this is not UTF-8 text; it is not the official file")
        return []
    lines = enumerate(text.split("\n"), 1)
    return [(f"{path}:{number}", line.strip()) for number, line in lines if line.strip()]


def code_list() -> str:
    """The codes of XD-Violence with their names, for messages."""
    return ", ".join(f"{code} ({name})" for code, name in XD_VIOLENCE_CODES.items())


def _is_frame(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def _put(found: dict[str, _T], name: str, value: _T, place: str, problems: list[str]) -> None:
    if name in found:
        problems.append(f"{place}: {name} was there already, in a line above")
    found[name] = value
