"""What is known about the rows of a comparison's tables: systems, reasons, footnotes, videos."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, TypeAlias

from exvad.evaluation.paper_tables import PaperTable, read_paper_file

Part: TypeAlias = Literal["fine", "coarse", "efficiency"]
FILE = "systems.yaml"
SHOWN_NAMES = 5
SPLIT_NAMES = {"train": "training", "test": "test"}

Videos = Mapping[str, int]
"""Split → number of videos; a system without training has test videos only."""


def quoted_efficiency() -> dict[str, list[float]]:
    """Return the paper's Table 7: name → parameters (10⁶), time (ms), MACs (10⁹)."""
    rows: dict[str, list[float]] = read_paper_file(FILE)["efficiency"]
    return rows


def reasons_of_absence(systems: Collection[str]) -> list[str]:
    """Return a sentence for each name of the paper's tables that has no system.

    Args:
        systems: keys of the catalogue.
    """
    names = read_paper_file(FILE)["names"]
    return [
        f"{name} has no measured row: {entry['why']}"
        for name, entry in names.items()
        if entry["system"] not in systems
    ]


def with_footnotes(table: PaperTable, part: Part, dataset: str) -> PaperTable:
    """Return a table whose quoted rows refer to notes about their figures.

    Args:
        table: the table; a name may have a year in brackets.
        part: which of the paper's tables it is.
        dataset: the kind of data set.
    """
    notes: list[str] = []
    marks: dict[str, list[int]] = {}
    present = {_base_name(row) for row in table.rows if _is_quoted(row)}
    for note in read_paper_file(FILE)["notes"]:
        fits = part in note["parts"] and (part == "efficiency" or dataset in note["datasets"])
        names = [name for name in note["names"] if name in present]
        if fits and names:
            notes.append(f"[{len(notes) + 1}] {note['text']}")
            for name in names:
                marks.setdefault(name, []).append(len(notes))
    rows = [_marked(row, marks) for row in table.rows]
    return PaperTable(table.heading, table.columns, rows, [*table.notes, *notes])


def differing_splits(counts: Sequence[Videos]) -> list[str]:
    """Return the splits of which rows have different numbers of videos.

    Args:
        counts: of each row.
    """
    values = {split: {row[split] for row in counts if split in row} for split in SPLIT_NAMES}
    return [split for split in SPLIT_NAMES if len(values[split]) > 1]


def in_words(counts: Videos, splits: Sequence[str]) -> list[str]:
    """Return the numbers of videos of some splits as parts of a row's source."""
    return [f"{counts[split]} {SPLIT_NAMES[split]} videos" for split in splits if split in counts]


def notes_on_missing(missing: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    """Say which videos rows leave out; rows that leave out the same ones share a sentence.

    Args:
        missing: label of a row → split → videos that lack features it reads.
    """
    rows: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for label, of_split in missing.items():
        for split, videos in of_split.items():
            if videos:
                rows.setdefault((split, tuple(videos)), []).append(label)
    return [
        f"Without {len(videos)} {SPLIT_NAMES[split]} video{'s' if len(videos) > 1 else ''} that "
        f"lack{'' if len(videos) > 1 else 's'} features or texts ({_short_list(videos)}): "
        f"{'; '.join(labels)}."
        for (split, videos), labels in rows.items()
    ]


def _is_quoted(row: Sequence[object]) -> bool:
    return str(row[-1]).startswith("quoted")


def _base_name(row: Sequence[object]) -> str:
    return re.sub(r"\s*\(\d{4}\)$", "", str(row[0]))


def _marked(row: Sequence[object], marks: dict[str, list[int]]) -> Sequence[object]:
    numbers = marks.get(_base_name(row), []) if _is_quoted(row) else []
    if not numbers:
        return row
    return [f"{row[0]} {''.join(f'[{number}]' for number in numbers)}", *row[1:]]


def _short_list(videos: Sequence[str]) -> str:
    shown, more = ", ".join(videos[:SHOWN_NAMES]), len(videos) - SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
