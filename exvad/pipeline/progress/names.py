"""Names of many videos in one line."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

SHOWN_NAMES = 10


def short_list(names: Collection[str]) -> str:
    """Return the first ten names, separated by commas, and how many more there are."""
    shown = ", ".join(islice(names, SHOWN_NAMES))
    more = len(names) - SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
