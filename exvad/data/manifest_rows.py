"""Reading manifest files, Parquet or CSV.

Both formats hold the same columns. In Parquet the class names are in the schema metadata
(`exvad.classes`, JSON), labels are `list<string>` and events `list<struct<start, end, label>>`; in
CSV the first line may be `# classes: Normal, Fighting, …`, labels are separated by `;` (the column
may be called `label` too) and events are written `label:start-end;…`.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar, cast

from exvad.data.records import Event, ManifestError, Split, Video

REQUIRED = ("path", "split", "labels")
COLUMNS = (
    "video_id",
    "path",
    "split",
    "labels",
    "events",
    "num_frames",
    "fps",
    "snippets",
    "spans",
)
CLASSES_KEY = b"exvad.classes"

_T = TypeVar("_T")
_STRETCH = re.compile(r"\s*(-?\d{1,18})\s*-\s*(-?\d{1,18})\s*", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)


@dataclass(slots=True)
class ManifestTable:
    """A file as read: the classes it names, its columns, and place and cells of each row."""

    classes: tuple[str, ...]
    columns: list[str]
    rows: list[tuple[str, dict[str, Any]]]
    problems: list[tuple[str, str]]


def parse_csv(data: bytes, path: Path) -> ManifestTable:
    """Read the bytes of a CSV file as a table."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise ManifestError([f"{path}:{line}: this is not UTF-8; save the file as UTF-8"]) from None
    table = ManifestTable((), [], [], [])
    lines = _csv_lines(text, path)
    line, cells = next(lines, (1, []))
    if cells and cells[0].startswith("#"):
        table.classes = _classes_line(",".join(cells), f"{path}:{line}")
        line, cells = next(lines, (line, []))
    columns = _without_empty_end([cell.lower() for cell in cells])
    table.columns = ["labels" if name == "label" else name for name in columns]
    width = len(table.columns)
    for line, cells in lines:
        place = f"{path}:{line}"
        if any(cells[width:]):
            table.problems.append(
                (
                    place,
                    f"{len(cells)} cells for {width} columns; separate labels by ';', and put "
                    "cells with a comma into double quotes",
                )
            )
        padded = [*cells, *[""] * (width - len(cells))]
        table.rows.append((place, dict(zip(table.columns, padded, strict=False))))
    return table


def _csv_lines(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as problem:
            raise ManifestError(
                [f"{path}:{line}: this is not CSV ({problem}); is a double quote missing?"]
            ) from problem
        if any(cells):
            yield line, cells


def _classes_line(line: str, place: str) -> tuple[str, ...]:
    match = re.fullmatch(r"#\s*classes\s*:(.*)", line, re.IGNORECASE)
    if match is None:
        raise ManifestError(
            [
                f"{place}: {line!r} is not understood; a first line with '#' must be the classes, "
                "as in '# classes: Normal, Fighting'"
            ]
        )
    return tuple(_without_empty_end([name.strip() for name in match[1].split(",")]))


def _without_empty_end(cells: list[str]) -> list[str]:
    # Spreadsheets pad every line to the longest with empty cells.
    while cells and not cells[-1]:
        cells = cells[:-1]
    return cells


def parse_parquet(data: bytes, path: Path) -> ManifestTable:
    """Read the bytes of a Parquet file as a table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as problem:
        raise ManifestError([f"{path}: this is not a Parquet file: {problem}"]) from problem
    named = (table.schema.metadata or {}).get(CLASSES_KEY, b"[]")
    try:
        classes = json.loads(named)
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise ValueError("not a list of names")
    except ValueError as problem:
        raise ManifestError(
            [f"{path}: the metadata {CLASSES_KEY.decode()!r} must be a JSON list ({problem})"]
        ) from problem
    columns = ["labels" if name == "label" else name for name in table.column_names]
    lists = [column.to_pylist() for column in table.columns]
    rows = [
        (f"{path}:row {number}", dict(zip(columns, cells, strict=True)))
        for number, cells in enumerate(zip(*lists, strict=True), 1)
    ]
    return ManifestTable(tuple(classes), columns, rows, [])


def column_problems(columns: Sequence[str], path: Path) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the columns of a file."""
    for name in REQUIRED:
        if name not in columns:
            yield str(path), f"there is no column {name!r}; the columns are {', '.join(COLUMNS)}"
    for name in dict.fromkeys(columns):
        if name not in COLUMNS:
            close = difflib.get_close_matches(name, COLUMNS, n=1)
            hint = f", did you mean {close[0]!r}?" if close else ";"
            if ";" in name or "\t" in name:
                hint = ", separate columns by commas."
            yield str(path), f"unknown column {name!r}{hint} The columns are {', '.join(COLUMNS)}"
        elif columns.count(name) > 1:
            yield str(path), f"the column {name!r} is there twice; remove one"


def guess_classes(videos: Sequence[Video]) -> tuple[str, ...]:
    """Return the classes of a file that names none: normal first, the others by alphabet."""
    labels = sorted({label for video in videos for label in video.labels})
    normal = [label for label in labels if label.casefold() == "normal"]
    return (*normal, *(label for label in labels if label not in normal)) if normal else ()


class Row:
    """The cells of one row on their way to a `Video`; what cannot be parsed goes to `problems`."""

    def __init__(self, cells: Mapping[str, Any]) -> None:
        self.cells = cells
        self.problems: list[str] = []

    def video(self, folder: Path) -> Video:
        """The video of this row, without the cells that are named in `problems`."""
        path = self._text("path")
        return Video(
            video_id=self._text("video_id") or PurePosixPath(path).stem,
            path=_resolved(path, folder),
            split=cast("Split", self._text("split").lower()),
            labels=self._labels(),
            events=self._events(),
            num_frames=self._integer("num_frames"),
            fps=self._number("fps"),
            snippets=self._integer("snippets"),
            spans=self._spans(),
        )

    def _text(self, name: str) -> str:
        value = self.cells.get(name)
        if value is None or isinstance(value, str):
            return value or ""
        return self._refuse(name, "text", "")

    def _labels(self) -> tuple[str, ...]:
        value = self.cells.get("labels")
        if isinstance(value, list) and all(isinstance(label, str) for label in value):
            return tuple(value)
        parts = self._text("labels").split(";")
        return tuple(part.strip() for part in parts if part.strip())

    def _events(self) -> tuple[Event, ...]:
        found = []
        for item in self._items("events"):
            if isinstance(item, str):
                label, _, stretch = item.rpartition(":")
                match = _STRETCH.fullmatch(stretch) if label.strip() else None
                event = match and Event(int(match[1]), int(match[2]), label.strip())
            else:
                start, end, label = (item.get(key) for key in ("start", "end", "label"))
                known = isinstance(label, str) and _are_integers(start, end)
                event = Event(start, end, label) if known else None
            found.append(event or self._refuse("events", "label:start-end;…", None))
        return tuple(event for event in found if event)

    def _spans(self) -> tuple[tuple[int, int], ...]:
        found = []
        for item in self._items("spans"):
            if isinstance(item, str):
                match = _STRETCH.fullmatch(item)
                span = match and (int(match[1]), int(match[2]))
            else:
                start, end = item.get("start"), item.get("end")
                span = (start, end) if _are_integers(start, end) else None
            found.append(span or self._refuse("spans", "start-end;…", None))
        return tuple(span for span in found if span)

    def _items(self, name: str) -> list[Any]:
        value = self.cells.get(name)
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return value
        return [item for item in self._text(name).split(";") if item.strip()]

    def _integer(self, name: str) -> int | None:
        value = self.cells.get(name)
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            return int(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0:
            return int(value)
        return self._refuse(name, "a whole number", None)

    def _number(self, name: str) -> float | None:
        value = self.cells.get(name)
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                return float(value)
            except ValueError:
                pass
        return self._refuse(name, "a number", None)

    def _refuse(self, name: str, wanted: str, instead: _T) -> _T:
        self.problems.append(f"{name} is {self.cells[name]!r}; it must be {wanted}")
        return instead


def _are_integers(*values: object) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def _resolved(path: str, folder: Path) -> str:
    return str(folder / path) if path and "://" not in path else path
