"""The page of the paper's tables: measured and quoted rows, with curves below them."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from exvad.evaluation.paper_tables import QUOTED, PaperTable
from exvad.report.rendering import render


def render_tables(title: str, tables: Sequence[PaperTable], drawings: Sequence[str] = ()) -> str:
    """Render tables as one self-contained HTML page; quoted rows are paler than measured ones.

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
                "columns": table.columns,
                "rows": [(_source(row), row) for row in table.text_rows()],
                "notes": table.notes,
            }
            for table in tables
        ],
        drawings=[Markup(drawing) for drawing in drawings],
    )


def _source(row: Sequence[str]) -> str:
    return "quoted" if row[-1].startswith(QUOTED) else "measured"
