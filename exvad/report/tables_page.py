"""The page of the paper's tables: measured and quoted rows, with curves below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from exvad.evaluation.paper_tables import QUOTED, PaperTable
from exvad.report.rendering import render


@dataclass(frozen=True)
class TableCell:
    """A value of a table.

    Args:
        value: the value, with its deviation if it has one.
        interval: its interval in brackets; empty without one.
    """

    value: str
    interval: str


@dataclass(frozen=True)
class TableRow:
    """A row of a table.

    Args:
        name: its first cell.
        source: its last cell: where the values are from.
        kind: `quoted` or `measured`.
        cells: the values between them.
    """

    name: str
    source: str
    kind: str
    cells: list[TableCell]


def render_tables(title: str, tables: Sequence[PaperTable], drawings: Sequence[str] = ()) -> str:
    """Render tables as one self-contained HTML page; quoted rows are paler than measured ones.

    The source of a row stands in small letters below its name, and an interval below its value,
    so that a table of many metrics fits a screen. What is wider scrolls in a box of its own.

    Args:
        title: the page's title.
        tables: the tables.
        drawings: SVG elements below them, which are inserted as they are.
    """
    return render(
        "tables.html.j2",
        title=title,
        tables=[
            {
                "heading": table.heading,
                "columns": table.columns[:-1],
                "rows": [_read_row(row) for row in table.text_rows()],
                "notes": table.notes,
            }
            for table in tables
        ],
        drawings=[Markup(drawing) for drawing in drawings],
    )


def _read_row(row: Sequence[str]) -> TableRow:
    name, *values, source = row
    kind = "quoted" if source.startswith(QUOTED) else "measured"
    return TableRow(name, source, kind, [_read_cell(value) for value in values])


def _read_cell(text: str) -> TableCell:
    value, bracket, rest = text.partition(" [")
    return TableCell(value, f"[{rest}" if bracket else "")
