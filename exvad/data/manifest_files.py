"""Read and write manifest files; the suffix decides between Parquet and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from exvad.config.addresses import shown_address
from exvad.data.annotations.class_names import composed_name
from exvad.data.annotations.clock import beyond_the_end
from exvad.data.annotations.rows import join_rows, mixed_units, near_misses, settle_spelling
from exvad.data.manifest import Manifest
from exvad.data.manifest_checks import Problem, find_problems
from exvad.data.manifest_csv import parse_csv, write_csv
from exvad.data.manifest_parquet import parse_parquet, write_parquet
from exvad.data.manifest_table import (
    REQUIRED_COLUMNS,
    ManifestTable,
    RowParser,
    column_problems,
    default_classes,
)
from exvad.data.records import ManifestError, Video
from exvad.data.storage.errors import reason_of
from exvad.data.storage.places import Place, resolve_place

PARQUET_SUFFIXES = (".parquet", ".pq")


def read_manifest(path: str | Path, classes: Sequence[str] | None = None) -> Manifest:
    """Read and validate a manifest file.

    Args:
        path: a `.parquet`, `.pq` or `.csv` file, or its URI. Relative video paths in it start at
            its folder; URIs (with `://`) stay as they are.
        classes: class names, the normal class first, instead of those in the file. If neither is
            given: the normal class, then the other labels in alphabetical order.

    Raises:
        ManifestError: the file is missing, unreadable or invalid; lists every problem.
    """
    place, shown = resolve_place(path), shown_address(str(path))
    parse = parse_parquet if _is_parquet(place) else parse_csv
    try:
        data = place.read_bytes()
    except OSError as error:
        raise ManifestError([f"{shown}: cannot be read: {reason_of(error)}"]) from error
    table = parse(data, shown)
    problems = [*column_problems(table.columns, shown), *table.problems]
    names: tuple[str, ...] = ()
    videos: list[Video] = []
    notes: list[str] = []
    if set(REQUIRED_COLUMNS) <= set(table.columns):
        rows, row_problems = _parse_rows(table, place.parent)
        named = tuple(composed_name(name) for name in classes or table.classes)
        rows, notes = settle_spelling(rows, named)
        locations = [location for location, _ in table.rows]
        videos, locations, contradictions, joined = join_rows(rows, locations)
        names = named or default_classes(videos)
        problems += [*row_problems, *contradictions]
        problems += [] if named else near_misses(videos, locations, names[0] if names else "Normal")
        problems += find_problems(names, videos, locations, shown)
        notes += [
            *joined,
            *(
                f"{location}: {phrase}"
                for video, location in zip(videos, locations, strict=True)
                for phrase in beyond_the_end(video)
            ),
        ]
    if problems:
        raise ManifestError(_in_file_order(problems, table))
    return Manifest(names, tuple(videos), tuple(notes))


def write_manifest(manifest: Manifest, path: str | Path) -> None:
    """Write a manifest atomically as `.parquet` or `.csv`, by the suffix of `path`.

    Videos below the folder of `path` get relative paths, so the manifest and its videos can move
    together.

    Raises:
        ManifestError: the suffix is unknown, or CSV cannot store a name or a path.
        OSError: the disk is full, the folder is read-only, and so on.
    """
    place = resolve_place(path)
    write = write_parquet if _is_parquet(place) else write_csv
    write(manifest, place)


def _is_parquet(place: Place) -> bool:
    suffix = PurePosixPath(place.path).suffix.lower()
    if suffix not in (*PARQUET_SUFFIXES, ".csv"):
        raise ManifestError([f"{place}: a manifest's name must end in .parquet or .csv"])
    return suffix != ".csv"


def _parse_rows(table: ManifestTable, folder: Place) -> tuple[list[Video], list[Problem]]:
    videos: list[Video] = []
    problems: list[Problem] = []
    unmarked: list[tuple[str, str]] = []
    in_seconds: list[str] = []
    for location, cells in table.rows:
        row = RowParser(cells)
        videos.append(row.video(folder))
        problems.extend((location, problem) for problem in row.problems)
        unmarked.extend((location, text) for text in row.unmarked)
        in_seconds += [location] if row.has_seconds else []
    return videos, [*problems, *mixed_units(unmarked, in_seconds)]


def _in_file_order(problems: Sequence[Problem], table: ManifestTable) -> list[str]:
    """Return the problems as text, those of the whole file first, then row by row."""
    order = {location: row for row, (location, _) in enumerate(table.rows)}
    ordered = sorted(problems, key=lambda problem: order.get(problem[0], -1))
    return [f"{location}: {description}" for location, description in ordered]
