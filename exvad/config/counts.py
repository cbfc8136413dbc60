"""How messages count things."""

from __future__ import annotations


def count_of(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, such as "1 video" or "1,200 videos".

    Args:
        number: how many there are.
        noun: the noun in the singular.
        plural: the noun in the plural; empty for the singular with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
