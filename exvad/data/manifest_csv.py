"""Manifests as CSV.

The first line may name the classes: `# classes: Normal, Fighting, …`. Labels are separated by `;`
(the column may be called `label` too), events are written `label:start-end;…` and spans
`start-end;…`. Files that spreadsheets write (byte order mark, padded rows) are read too.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import numpy as np

from exvad.data.annotations.times import event_text
from exvad.data.manifest import Manifest
from exvad.data.manifest_table import (
    COLUMNS,
    REQUIRED_COLUMNS,
    ManifestTable,
    canonical_columns,
    portable_path,
)
from exvad.data.records import ManifestError, Video
from exvad.data.storage.places import Place

_BEGINNING = 4096  # bytes by which a file is known that is no text in UTF-8
_EXCEL = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .xls
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SEPARATOR_LINE = re.compile(r"sep=(.|,.*)", re.IGNORECASE)  # a first line that Excel reads


def parse_csv(data: bytes, path: str) -> ManifestTable:
    """Parse the content of a CSV file.

    Args:
        data: the content.
        path: the file, for locations.

    Raises:
        ManifestError: it is not UTF-8, not CSV, or its first line begins with `#` and does not name
            classes.
    """
    _check_kind(data, path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError([f"{path}:{line}: this is not UTF-8; save the file as UTF-8"]) from None
    lines = _csv_lines(text, path)
    line, cells = next(lines, (1, []))
    if cells and _SEPARATOR_LINE.fullmatch(",".join(cells)):
        line, cells = next(lines, (line, []))
    classes: tuple[str, ...] = ()
    if cells and cells[0].startswith("#"):
        classes = _parse_classes(",".join(cells), f"{path}:{line}")
        line, cells = next(lines, (line, []))
    header = [cell.lower() for cell in _strip_padding(cells)]
    table = ManifestTable(classes, canonical_columns(header))
    width = len(header)
    for line, cells in lines:
        location = f"{path}:{line}"
        if any(cells[width:]):
            problem = (
                f"{len(cells)} cells for {width} columns; separate labels by ';', and put cells "
                "with a comma into double quotes"
            )
            table.problems.append((location, problem))
        padded = [*cells, *[""] * (width - len(cells))]
        table.rows.append((location, dict(zip(table.columns, padded, strict=False))))
    return table


def _check_kind(data: bytes, path: str) -> None:
    """Refuse files that are no text in UTF-8 but can be told by their first bytes.

    Raises:
        ManifestError: it is such a file.
    """
    beginning = data[:_BEGINNING]
    if beginning.startswith(_EXCEL):
        reason = "this is an Excel file; save it as 'CSV UTF-8' in Excel, not only by another name"
    elif beginning.startswith(_UTF16) or b"\0" in beginning:
        reason = "this is not UTF-8 but UTF-16 or binary; save the file as UTF-8"
    else:
        return
    raise ManifestError([f"{path}:1: {reason}"])


def write_csv(manifest: Manifest, path: Place) -> None:
    """Write a manifest as CSV, atomically; videos below its folder get relative paths.

    Raises:
        ManifestError: a name or path contains what this CSV format cannot store.
        OSError: the file cannot be written.
    """
    rows = [_csv_row(video, path.parent) for video in manifest.videos]
    problems = [
        f"{path}: the {column} {row[column]!r} has a line break or blanks around it, which CSV "
        "cannot store here; write .parquet"
        for row in rows
        for column in ("video_id", "path")
        if row[column] != row[column].strip() or set("\r\n\0") & set(row[column])
    ]
    if problems:
        raise ManifestError(problems)
    columns = [c for c in COLUMNS if c in REQUIRED_COLUMNS or any(row.get(c) for row in rows)]
    text = io.StringIO(newline="")
    text.write(f"# classes: {', '.join(manifest.classes)}\n")
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue())


def _csv_lines(text: str, path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and stripped cells of every row that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            problem = f"{path}:{line}: this is not CSV ({error}); is a double quote missing?"
            raise ManifestError([problem]) from error
        if any(cells):
            yield line, cells


def _parse_classes(line: str, location: str) -> tuple[str, ...]:
    match = re.fullmatch(r"#\s*classes\s*:(.*)", line, re.IGNORECASE)
    if match is None:
        problem = (
            f"{location}: {line!r} does not name classes; a first line with '#' must be "
            "'# classes: Normal, Fighting, …'"
        )
        raise ManifestError([problem])
    return tuple(_strip_padding([name.strip() for name in match[1].split(",")]))


def _strip_padding(cells: list[str]) -> list[str]:
    # Spreadsheets pad every line with empty cells to the length of the longest one.
    while cells and not cells[-1]:
        cells = cells[:-1]
    return cells


def _csv_row(video: Video, folder: Place) -> dict[str, str]:
    return {
        "video_id": video.video_id,
        "path": portable_path(video.path, folder),
        "split": video.split,
        "labels": ";".join(video.labels),
        "events": ";".join(
            event_text(e.label, str(e.start), str(e.end), "f") for e in video.events
        ),
        "num_frames": "" if video.num_frames is None else str(video.num_frames),
        "fps": "" if video.fps is None else repr(float(video.fps)),
        "snippets": "" if video.snippets is None else str(video.snippets),
        "spans": ";".join(f"{start}-{end}" for start, end in video.spans),
        "events_seconds": ";".join(
            event_text(e.label, _plain_number(e.start), _plain_number(e.end), "s")
            for e in video.timed_events
        ),
    }


def _plain_number(value: float) -> str:
    # An exponent has a dash, which separates start and end here.
    return np.format_float_positional(value, trim="-")
