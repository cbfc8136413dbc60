"""Names of classes that look the same: `Überfall` has two forms in Unicode, and case rarely counts.

A Mac writes the letter and its mark as two characters, other systems as one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")


def composed_name(name: str) -> str:
    """Return a name in the form in which all names are compared and stored (NFC).

    Args:
        name: the name in any form.
    """
    return unicodedata.normalize("NFC", name)


def composed_keys(named: Mapping[str, Value]) -> dict[str, Value]:
    """Return what belongs to names, by the names in the form of `composed_name`.

    Args:
        named: name in any form → anything.

    Raises:
        ValueError: two names look the same.
    """
    composed: dict[str, Value] = {}
    for name, value in named.items():
        if composed_name(name) in composed:
            raise ValueError(f"the class {name} is there twice, in two forms of Unicode")
        composed[composed_name(name)] = value
    return composed


def folded_name(name: str) -> str:
    """Return what the spellings of a name in other forms and cases have in common.

    Args:
        name: the name in any form.
    """
    return composed_name(composed_name(name).casefold())
