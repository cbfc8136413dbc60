"""Text for values in reports: times, percentages, class names and colors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeGuard

FIRST_HUE = 25.0  # degrees, of the first abnormal class
NARROW_SPACE, NO_BREAK_SPACE = "\u202f", "\u00a0"


def format_time(seconds: float) -> str:
    """Return a time as m:ss, or h:mm:ss from one hour on."""
    minutes, second = divmod(math.floor(seconds + 0.5), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def format_span(start: float, end: float) -> str:
    """Return "from 0:12 to 0:21", or "at 0:12" for a span within one second."""
    first, last = format_time(start), format_time(end)
    return f"at {first}" if first == last else f"from {first} to {last}"


def format_percent(share: float) -> str:
    """Return a share of 0 to 1 in whole percent; 0 % and 100 % only for exactly 0 and 1."""
    if 0.995 <= share < 1:
        return f"over 99{NARROW_SPACE}%"
    if 0 < share <= 0.005:
        return f"under 1{NARROW_SPACE}%"
    return f"{share * 100:.0f}{NARROW_SPACE}%"


def format_duration(seconds: float) -> str:
    """Return a duration as "9.3 s", "3 min 20 s" or "1 h 05 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f}{NO_BREAK_SPACE}s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return f"{hours}{NO_BREAK_SPACE}h {minute:02}{NO_BREAK_SPACE}min"
    return f"{minute}{NO_BREAK_SPACE}min {second:02}{NO_BREAK_SPACE}s"


def class_hue(label: str, classes: Sequence[str]) -> float | None:
    """Return the hue of an abnormal class in degrees; None for normal and unknown classes.

    Args:
        label: the class.
        classes: all class names, the normal one first.
    """
    if label not in classes[1:]:
        return None
    step = 360 / (len(classes) - 1)
    return round((FIRST_HUE + step * (classes.index(label) - 1)) % 360, 1)


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value from JSON is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
