"""Read the official annotation files of UCF-Crime and XD-Violence, line by line.

Copies that circulate differ in line ends, suffixes (`.mp4`, `.mp4.mp4`, none), folders before names
and the number of columns; they are read alike. Every reader appends `location: description` of each
line that it cannot parse to `problems` and continues with the next line.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

from exvad.data.records import Event
from exvad.data.storage.errors import reason_of
from exvad.data.storage.video_names import VIDEO_SUFFIXES

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


@dataclass(slots=True)
class OfficialFile(Generic[_T]):
    """The content of an official file.

    Args:
        values: by video id, in the order of the file.
        lines: where each video is, as `file:line`.
    """

    values: dict[str, _T] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)

    def add(self, video_id: str, value: _T, location: str, problems: list[str]) -> None:
        """Add a video; a second line of the same video is a problem."""
        if video_id in self.values:
            problems.append(
                f"{location}: {video_id} is already listed in a line above ({self.lines[video_id]})"
            )
            return
        self.values[video_id] = value
        self.lines[video_id] = location


def read_ucf_events(path: Path, problems: list[str]) -> OfficialFile[tuple[Event, ...]]:
    """Read `name class start end start end …`, −1 for no event.

    Returns:
        The events of every listed video; none of a normal one.
    """
    file: OfficialFile[tuple[Event, ...]] = OfficialFile()
    for location, line, video_id, cells in _read_cells(path, problems):
        frames = [int(cell) for cell in cells[1:] if cell == "-1" or _is_frame(cell)]
        pairs = list(zip(frames[::2], frames[1::2], strict=False))
        valid = all((s, e) == (-1, -1) or 0 <= s < e for s, e in pairs)
        if not pairs or len(cells) != 1 + 2 * len(pairs) or not valid:
            problems.append(
                f"{location}: {line!r} is not 'name class start end start end', each start below "
                "its end or both -1"
            )
            continue
        events = tuple(Event(s, e, cells[0]) for s, e in pairs if s != -1)
        file.add(video_id, events, location, problems)
    return file


def read_xd_events(path: Path, problems: list[str]) -> OfficialFile[tuple[Event, ...]]:
    """Read `name code start end code start end …`.

    Returns:
        The events of the videos, in the order of the file.
    """
    file: OfficialFile[tuple[Event, ...]] = OfficialFile()
    for location, line, video_id, cells in _read_cells(path, problems):
        triples = list(zip(cells[::3], cells[1::3], cells[2::3], strict=False))
        valid = all(c in XD_VIOLENCE_CODES and _is_frame(s) and _is_frame(e) for c, s, e in triples)
        if not valid or len(cells) != 3 * len(triples):
            codes = describe_codes()
            problems.append(f"{location}: {line!r} is not 'name code start end …', of {codes}")
            continue
        events = tuple(Event(int(s), int(e), XD_VIOLENCE_CODES[c]) for c, s, e in triples)
        file.add(video_id, events, location, problems)
    return file


def read_xd_spans(path: Path, problems: list[str]) -> OfficialFile[list[tuple[int, int]]]:
    """Read `name start end start end …`.

    Returns:
        Abnormal intervals of the videos, half-open in frames.
    """
    file: OfficialFile[list[tuple[int, int]]] = OfficialFile()
    for location, line, video_id, cells in _read_cells(path, problems):
        if len(cells) % 2 or not all(_is_frame(cell) for cell in cells):
            problems.append(f"{location}: {line!r} is not 'name start end start end …'")
            continue
        spans = [(int(s), int(e)) for s, e in zip(cells[::2], cells[1::2], strict=True)]
        file.add(video_id, spans, location, problems)
    return file


def read_lengths(path: Path, problems: list[str]) -> OfficialFile[VideoLength]:
    """Read the table `video,label,snippets,frames`.

    Returns:
        Lengths of the videos, in the order of the file.
    """
    file: OfficialFile[VideoLength] = OfficialFile()
    for location, row in read_table(path, ("video", "label", "snippets", "frames"), problems):
        if not (_is_frame(row["snippets"]) and _is_frame(row["frames"])):
            problems.append(f"{location}: snippets and frames must be whole numbers")
            continue
        length = VideoLength(row["label"], int(row["snippets"]), int(row["frames"]))
        file.add(video_id_of(row["video"]), length, location, problems)
    return file


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
            f"{path}: cannot be read: {reason_of(error)}; it is one of the official files"
        )
        return []
    except UnicodeDecodeError:
        problems.append(f"{path}: this is not UTF-8 text; it is not the official file")
        return []
    lines = enumerate(re.split(r"\r\n|\n|\r", text), 1)
    return [(f"{path}:{number}", line.strip()) for number, line in lines if line.strip()]


def video_id_of(name: str) -> str:
    """Return the id of a video in an official file: its name without folders and suffixes.

    Dots are part of the names of XD-Violence, so only suffixes of videos are removed, also where a
    copy has doubled them.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    while path.suffix.lower() in VIDEO_SUFFIXES and path.stem:
        path = path.with_suffix("")
    return path.name


def describe_codes() -> str:
    """Return the codes of XD-Violence with their classes, for messages."""
    return ", ".join(f"{code} ({label})" for code, label in XD_VIOLENCE_CODES.items())


def _read_cells(path: Path, problems: list[str]) -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield location, text, video id and the other cells of each line."""
    for location, line in read_lines(path, problems):
        name, *cells = line.split()
        yield location, line, video_id_of(name), cells


def _is_frame(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16
