"""Names of classes that look the same: `Überfall` has two forms in Unicode, and case rarely counts.

A Mac writes the letter and its mark as two characters, other systems as one.
"""

from __future__ import annotations

import unicodedata


def composed_name(name: str) -> str:
    """Return a name in the form in which all names are compared and stored (NFC).

    Args:
        name: the name in any form.
    """
    return unicodedata.normalize("NFC", name)


def folded_name(name: str) -> str:
    """Return what the spellings of a name in other forms and cases have in common.

    Args:
        name: the name in any form.
    """
    return composed_name(composed_name(name).casefold())
