"""The known name that a user probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is closest to a misspelled one, ignoring case.

    Args:
        name: the unknown name.
        known: the names that exist.

    Returns:
        A name of `known`, or None if none of them is similar.
    """
    by_folded = {candidate.casefold(): candidate for candidate in known}
    closest = difflib.get_close_matches(name.casefold(), list(by_folded), n=1)
    return by_folded[closest[0]] if closest else None
