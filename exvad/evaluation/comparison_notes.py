"""What is known about the names and figures of the paper's tables: systems, reasons, footnotes."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Literal, TypeAlias

from exvad.evaluation.paper_tables import PaperTable, read_paper_file

Part: TypeAlias = Literal["fine", "coarse", "efficiency"]
FILE = "systems.yaml"


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


def _is_quoted(row: Sequence[object]) -> bool:
    return str(row[-1]).startswith("quoted")


def _base_name(row: Sequence[object]) -> str:
    return re.sub(r"\s*\(\d{4}\)$", "", str(row[0]))


def _marked(row: Sequence[object], marks: dict[str, list[int]]) -> Sequence[object]:
    numbers = marks.get(_base_name(row), []) if _is_quoted(row) else []
    if not numbers:
        return row
    return [f"{row[0]} {''.join(f'[{number}]' for number in numbers)}", *row[1:]]
