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

from exvad.config.suggestions import did_you_mean
from exvad.data.annotations.class_names import folded_name
from exvad.data.annotations.times import HOW_TO_WRITE, Interval, parse_event
from exvad.data.manifest_checks import Problem
from exvad.data.records import Event, Split, TimedEvent, Video
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
    "events_seconds",
    "events_fps",
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
    for name in columns:
        if ";" in name or "\t" in name:
            yield path, f"the header {name!r} is a single column, separate columns by commas"
            return
    absent = [name for name in REQUIRED_COLUMNS if name not in columns]
    named = f"; the columns are {', '.join(COLUMNS)}"  # once for all problems
    for name in absent:
        yield path, f"there is no column {name!r}{named}"
        named = ""
    for name in dict.fromkeys(columns):
        if name not in COLUMNS:
            closest = did_you_mean(name, COLUMNS)
            hint = f", did you mean {closest!r}?" if closest else ""
            yield path, f"unknown column {name!r}{hint}{named}"
            named = ""
        elif columns.count(name) > 1:
            yield path, f"there are two columns {name!r}; remove one"


def default_classes(videos: Sequence[Video]) -> tuple[str, ...]:
    """Return the classes of a file that names none: the normal class, then the other labels sorted.

    Returns:
        The classes, or none if no label is `normal` in any case.
    """
    labels = sorted({label for video in videos for label in video.labels})
    normal = [label for label in labels if folded_name(label) == "normal"]
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
        unmarked: the events whose times are whole numbers without a mark.
        has_seconds: whether an event in the column `events` has times in seconds.
    """

    def __init__(self, cells: Mapping[str, Any]) -> None:
        self.cells = cells
        self.problems: list[str] = []
        self.unmarked: list[str] = []
        self.has_seconds = False

    def video(self, folder: Place) -> Video:
        """Return the video of this row, without the cells listed in `problems`.

        Args:
            folder: the folder of the manifest; relative paths start there.
        """
        path = self._text("path")
        fps = self._number("fps")
        events, timed_events = self._events(fps)
        return Video(
            video_id=self._text("video_id") or PurePosixPath(path).stem,
            path=absolute_path(path, folder),
            split=cast("Split", self._text("split").lower()),
            labels=self._labels(),
            events=tuple(events),
            num_frames=self._integer("num_frames"),
            fps=fps,
            snippets=self._integer("snippets"),
            spans=self._spans(),
            timed_events=(*timed_events, *self._events_in_seconds()),
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

    def _events(self, fps: float | None) -> tuple[list[Event], list[TimedEvent]]:
        """Return the events of the column `events`: those in frames, and those in seconds.

        Frames that were counted at another rate than `fps` become seconds.
        """
        counted_at = self._rate()
        events: list[Event] = []
        timed_events: list[TimedEvent] = []
        for item in self._items("events"):
            label, interval = self._event(item)
            if interval is None:
                self._refuse("events", f"label:start-end;…: {HOW_TO_WRITE}", None)
            elif interval.unit == "seconds":
                self.has_seconds = True
                timed_events.append(TimedEvent(float(interval.start), float(interval.end), label))
            elif counted_at in (None, fps):
                events.append(Event(int(interval.start), int(interval.end), label))
            else:
                assert counted_at is not None
                start, end = interval.start / counted_at, interval.end / counted_at
                timed_events.append(TimedEvent(start, end, label))
            is_unmarked = interval is not None and interval.unit == "unmarked"
            if is_unmarked and counted_at is None and isinstance(item, str):
                self.unmarked.append(item.strip())
        return events, timed_events

    def _event(self, item: Any) -> tuple[str, Interval | None]:
        if isinstance(item, str):
            return parse_event(item) or ("", None)
        start, end, label = (item.get(key) for key in ("start", "end", "label"))
        complete = isinstance(label, str) and _are_integers(start, end)
        return str(label), Interval(start, end, "unmarked") if complete else None

    def _events_in_seconds(self) -> list[TimedEvent]:
        """Return the events of the column `events_seconds`."""
        events = []
        for item in self._items("events_seconds"):
            label, interval = self._event_in_seconds(item)
            if interval is None:
                expected = "label:start-end;… in seconds (4.8-14.4) or minutes (0:04-0:14)"
                self._refuse("events_seconds", expected, None)
            else:
                events.append(TimedEvent(*interval, label))
        return events

    def _event_in_seconds(self, item: Any) -> tuple[str, tuple[float, float] | None]:
        if isinstance(item, str):
            label, interval = parse_event(item) or ("", None)
            if interval is None or interval.unit == "frames":
                return label, None
            return label, (float(interval.start), float(interval.end))
        start, end, label = (item.get(key) for key in ("start", "end", "label"))
        complete = isinstance(label, str) and _are_numbers(start, end)
        return str(label), (float(start), float(end)) if complete else None

    def _rate(self) -> float | None:
        rate = self._number("events_fps")
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            return self._refuse("events_fps", "above 0, the rate that the frames count at", None)
        return rate

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


def _are_numbers(*values: object) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _are_integers(*values: object) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)
