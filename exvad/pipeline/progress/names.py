"""Names of many videos in one line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice

from exvad.store.survey import NO_EXPLANATION

SHOWN_NAMES = 10


def short_list(names: Collection[str]) -> str:
    """Return the first ten names, separated by commas, and how many more there are."""
    shown = ", ".join(islice(names, SHOWN_NAMES))
    more = len(names) - SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def missing_lines(missing: Mapping[str, str], outcome: str) -> list[str]:
    """Say which videos lack features, and which lack texts only, a line for each kind.

    Args:
        missing: video → what is missing, of `Survey.missing`.
        outcome: what follows for the videos.
    """
    without_text = [video for video, why in missing.items() if why == NO_EXPLANATION]
    others = [video for video, why in missing.items() if why != NO_EXPLANATION]
    lines = []
    if others:
        lines.append(f"without features, {outcome} ({len(others)}): {short_list(others)}")
    if without_text:
        lines.append(
            f"without text features, {outcome} ({len(without_text)}): "
            f"{short_list(without_text)}; model.text=none needs none"
        )
    return lines
