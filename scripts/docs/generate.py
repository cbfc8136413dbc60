"""Fill the marks `<!-- generated: NAME -->` of a page."""

from __future__ import annotations

import re
from collections.abc import Callable

from scripts.docs.command_line import command_line
from scripts.docs.configuration import configuration_tables, settings_table
from scripts.docs.diagrams import data_flow, figure_2, rooms
from scripts.docs.http_api import http_api

GENERATORS: dict[str, Callable[[], str]] = {
    "configuration": configuration_tables,
    "settings": settings_table,
    "http-api": http_api,
    "command-line": command_line,
    "figure-2": figure_2,
    "rooms": rooms,
    "data-flow": data_flow,
}
# The rest of the line is for those who read the page in the repository.
MARK = re.compile(r"<!-- generated: ([\w-]+) -->.*")


def fill(markdown: str) -> str:
    """Replace every mark of a page by what its generator returns.

    Raises:
        ValueError: a mark names no generator.
    """

    def generated(mark: re.Match[str]) -> str:
        if mark[1] not in GENERATORS:
            raise ValueError(f"no generator {mark[1]!r}: use one of {', '.join(GENERATORS)}")
        return GENERATORS[mark[1]]()

    return MARK.sub(generated, markdown)
