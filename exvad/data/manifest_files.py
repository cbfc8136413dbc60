"""Read and write manifest files; the suffix decides between Parquet and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

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
    place = resolve_place(path)
    parse = parse_parquet if _is_parquet(place) else parse_csv
    try:
        data = place.read_bytes()
    except OSError as error:
        raise ManifestError([f"{path}: cannot be read: {error.strerror}"]) from error
    table = parse(data, str(path))
    problems = [*column_problems(table.columns, str(path)), *table.problems]
    names: tuple[str, ...] = ()
    videos: list[Video] = []
    if set(REQUIRED_COLUMNS) <= set(table.columns):
        videos, row_problems = _parse_rows(table, place.parent)
        names = tuple(classes or table.classes) or default_classes(videos)
        locations = [location for location, _ in table.rows]
        problems += [*row_problems, *find_problems(names, videos, locations, str(path))]
    if problems:
        raise ManifestError(_in_file_order(problems, table))
    return Manifest(names, tuple(videos))


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
    for location, cells in table.rows:
        row = RowParser(cells)
        videos.append(row.video(folder))
        problems.extend((location, problem) for problem in row.problems)
    return videos, problems


def _in_file_order(problems: Sequence[Problem], table: ManifestTable) -> list[str]:
    """Return the problems as text, those of the whole file first, then row by row."""
    order = {location: row for row, (location, _) in enumerate(table.rows)}
    ordered = sorted(problems, key=lambda problem: order.get(problem[0], -1))
    return [f"{location}: {description}" for location, description in ordered]
