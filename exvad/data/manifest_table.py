"""The table of a manifest file: its columns, and the parsing of a row into a `Video`.

CSV and Parquet have the same columns. A cell is a string in CSV and may be typed in Parquet, so
every cell is parsed from both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar, cast

from exvad.config import did_you_mean
from exvad.data.manifest_checks import Problem
from exvad.data.records import Event, Split, Video
from exvad.data.storage.places import Place, is_uri

REQUIRED_COLUMNS = ("path", "split", "labels")
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

_T = TypeVar("_T")
_INTERVAL = re.compile(r"\s*(-?\d{1,18})\s*-\s*(-?\d{1,18})\s*", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)


@dataclass(slots=True)
class ManifestTable:
    """A manifest file as read.

    Args:
        classes: the classes that the file names; empty if it names none.
        columns: the column names in their order.
        rows: location (`file:line`) and cells, column → value, of each row.
        problems: rows that do not fit the columns.
    """

    classes: tuple[str, ...]
    columns: list[str]
    rows: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def canonical_columns(names: Sequence[str]) -> list[str]:
    """Return the column names with `labels` in place of its synonym `label`."""
    return ["labels" if name == "label" else name for name in names]


def column_problems(columns: Sequence[str], path: str) -> Iterator[Problem]:
    """Yield what is wrong with the columns of a file."""
    for name in REQUIRED_COLUMNS:
        if name not in columns:
            yield str(path), f"there is no column {name!r}; the columns are {', '.join(COLUMNS)}"
    for name in dict.fromkeys(columns):
        if name not in COLUMNS:
            closest = did_you_mean(name, COLUMNS)
            hint = f", did you mean {closest!r}?" if closest else ";"
            if ";" in name or "\t" in name:
                hint = ", separate columns by commas."
            yield str(path), f"unknown column {name!r}{hint} The columns are {', '.join(COLUMNS)}"
        elif columns.count(name) > 1:
            yield str(path), f"there are two columns {name!r}; remove one"


def default_classes(videos: Sequence[Video]) -> tuple[str, ...]:
    """Return the classes of a file that names none: the normal class, then the other labels sorted.

    Returns:
        The classes, or none if no label is `normal` in any case.
    """
    labels = sorted({label for video in videos for label in video.labels})
    normal = [label for label in labels if label.casefold() == "normal"]
    return (*normal, *(label for label in labels if label not in normal)) if normal else ()


def absolute_path(path: str, folder: Place) -> str:
    """Return a video path of a manifest in `folder` as an absolute path; URIs stay as they are."""
    if not path or is_uri(path):
        return path
    if folder.is_local:
        return str(Path(folder.path) / path)
    return path if path.startswith("/") else str(folder / path)


def portable_path(path: str, folder: Place) -> str:
    """Return a video path relative to `folder` if it lies below it, else absolute or a URI."""
    absolute = path if is_uri(path) else str(Path(path).absolute())
    return absolute.removeprefix(f"{str(folder).rstrip('/')}/")


class RowParser:
    """Parses the cells of one row; cells that cannot be parsed are listed in `problems`.

    Args:
        cells: column → value.

    Attributes:
        problems: one description per cell that `video` could not parse.
    """

    def __init__(self, cells: Mapping[str, Any]) -> None:
        self.cells = cells
        self.problems: list[str] = []

    def video(self, folder: Place) -> Video:
        """Return the video of this row, without the cells listed in `problems`.

        Args:
            folder: the folder of the manifest; relative paths start there.
        """
        path = self._text("path")
        return Video(
            video_id=self._text("video_id") or PurePosixPath(path).stem,
            path=absolute_path(path, folder),
            split=cast("Split", self._text("split").lower()),
            labels=self._labels(),
            events=self._events(),
            num_frames=self._integer("num_frames"),
            fps=self._number("fps"),
            snippets=self._integer("snippets"),
            spans=self._spans(),
        )

    def _text(self, column: str) -> str:
        value = self.cells.get(column)
        if value is None or isinstance(value, str):
            return value or ""
        return self._refuse(column, "text", "")

    def _labels(self) -> tuple[str, ...]:
        value = self.cells.get("labels")
        if isinstance(value, list) and all(isinstance(label, str) for label in value):
            return tuple(value)
        labels = self._text("labels").split(";")
        return tuple(label.strip() for label in labels if label.strip())

    def _events(self) -> tuple[Event, ...]:
        events = []
        for item in self._items("events"):
            if isinstance(item, str):
                label, _, interval = item.rpartition(":")
                match = _INTERVAL.fullmatch(interval) if label.strip() else None
                event = match and Event(int(match[1]), int(match[2]), label.strip())
            else:
                start, end, label = (item.get(key) for key in ("start", "end", "label"))
                complete = isinstance(label, str) and _are_integers(start, end)
                event = Event(start, end, label) if complete else None
            events.append(event or self._refuse("events", "label:start-end;…", None))
        return tuple(event for event in events if event)

    def _spans(self) -> tuple[tuple[int, int], ...]:
        spans = []
        for item in self._items("spans"):
            if isinstance(item, str):
                match = _INTERVAL.fullmatch(item)
                span = match and (int(match[1]), int(match[2]))
            else:
                start, end = item.get("start"), item.get("end")
                span = (start, end) if _are_integers(start, end) else None
            spans.append(span or self._refuse("spans", "start-end;…", None))
        return tuple(span for span in spans if span)

    def _items(self, column: str) -> list[Any]:
        value = self.cells.get(column)
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return value
        return [item for item in self._text(column).split(";") if item.strip()]

    def _integer(self, column: str) -> int | None:
        value = self.cells.get(column)
        if _is_missing(value):
            return None
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            return int(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0:
            return int(value)
        return self._refuse(column, "a whole number", None)

    def _number(self, column: str) -> float | None:
        value = self.cells.get(column)
        if _is_missing(value):
            return None
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                return float(value)
            except ValueError:
                pass
        return self._refuse(column, "a number", None)

    def _refuse(self, column: str, expected: str, default: _T) -> _T:
        self.problems.append(f"{column} is {self.cells[column]!r}; it must be {expected}")
        return default


def _is_missing(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _are_integers(*values: object) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)
