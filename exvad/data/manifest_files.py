"""Manifest files, Parquet or CSV: read with every problem named, written atomically.

Both formats hold the same columns. In Parquet the class names are in the schema metadata
(`exvad.classes`, JSON), labels are `list<string>` and events `list<struct<start, end, label>>`; in
CSV the first line may be `# classes: Normal, Fighting, …`, labels are separated by `;` (the column
may be called `label` too) and events are written `label:start-end;…`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from exvad.data.manifest import Manifest
from exvad.data.manifest_checks import find_problems
from exvad.data.manifest_rows import (
    REQUIRED,
    Row,
    column_problems,
    guess_classes,
    parse_csv,
    parse_parquet,
)
from exvad.data.manifest_write import write_csv, write_parquet
from exvad.data.records import ManifestError

PARQUET_SUFFIXES = (".parquet", ".pq")


def read_manifest(path: str | os.PathLike[str], classes: Sequence[str] | None = None) -> Manifest:
    """Read and check a manifest file.

    Args:
        path: a `.parquet`, `.pq` or `.csv` file. Relative video paths in it are relative to its
            folder; those with `://` stay as they are.
        classes: class names, the normal class first; they go before those the file names.
            Where neither is there: the normal class, then the other labels by alphabet.

    Raises:
        ManifestError: the file is missing, unreadable or not valid; lists every problem.
    """
    path = Path(path)
    parse = parse_parquet if is_parquet(path) else parse_csv
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise ManifestError([f"{path}: cannot be read: {problem.strerror}"]) from problem
    table = parse(data, path)
    problems = [*column_problems(table.columns, path), *table.problems]
    videos, places = [], []
    if set(REQUIRED) <= set(table.columns):
        for place, cells in table.rows:
            row = Row(cells)
            videos.append(row.video(path.parent.absolute()))
            places.append(place)
            problems.extend((place, problem) for problem in row.problems)
        names = tuple(classes or table.classes) or guess_classes(videos)
        problems.extend(find_problems(names, videos, places, str(path)))
    if problems:
        order = {place: number for number, place in enumerate(places)}
        problems.sort(key=lambda item: order.get(item[0], -1))
        raise ManifestError([f"{place}: {problem}" for place, problem in problems])
    return Manifest(names, tuple(videos))


def is_parquet(path: Path) -> bool:
    """Whether a manifest of that name is Parquet rather than CSV.

    Raises:
        ManifestError: it would be neither.
    """
    suffix = path.suffix.lower()
    if suffix not in (*PARQUET_SUFFIXES, ".csv"):
        raise ManifestError([f"{path}: a manifest's name must end in .parquet or .csv"])
    return suffix != ".csv"


def write_manifest(manifest: Manifest, path: str | os.PathLike[str]) -> None:
    """Write a manifest atomically as `.parquet` or `.csv`, by the suffix of `path`.

    Videos below the folder of `path` are written relative to it, so the two can move together.

    Raises:
        ManifestError: another suffix, or something that CSV cannot hold.
        OSError: the disk is full, the folder is read-only, and so on.
    """
    path = Path(path)
    folder = path.parent.absolute()
    if is_parquet(path):
        write_parquet(manifest, path, folder)
    else:
        write_csv(manifest, path, folder)
